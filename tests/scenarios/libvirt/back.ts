import { assertNone, type Scenario } from "../support/scenario.ts";
import {
  assertDomainRefused,
  assertMigrated,
  LibvirtLab,
  RingDomain,
  startDomainFerries,
} from "./lab/mod.ts";

/** A second migration, to the first host. */
export const scenario: Scenario = {
  name: "back",
  about:
    "a domain moves back to a host with its old images only where --reuse names them; with --delta only what has changed crosses",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { source, destination } = lab;
    const guest = await RingDomain.start(lab);
    await assertMigrated(await startDomainFerries(context, lab, guest.name));
    await guest.assertRunsOnlyOn(destination);

    const images = [0, 1].map((disk) => guest.image(source, disk).path);
    const before = await Promise.all(images.map(hash));
    const from = destination;
    const one = await startDomainFerries(context, lab, guest.name, { from });
    await assertDomainRefused(one, /--reuse vda.*--reuse vdb/s);
    const { receive } = one;
    const args = ["--reuse", "vda"];
    const two = await startDomainFerries(context, lab, guest.name, { from, receive, args });
    const { error } = await assertDomainRefused(two, /--reuse vdb/);
    if (/disk vda/.test(JSON.stringify(error))) throw new Error(`Got ${JSON.stringify(error)}`);
    const after = await Promise.all(images.map(hash));
    assertNone(
      images.filter((_, i) => before[i] !== after[i]).map((path) => `${path} was changed`),
    );
    await guest.assertRunsOnlyOn(destination);

    args.push("--reuse", "vdb", "--delta");
    const three = await startDomainFerries(context, lab, guest.name, { from, receive, args });
    const result = await assertMigrated(three);
    // RAM crosses as before, and of the disks what the guest has written since.
    const { bytes, skipped } = result;
    if (Number(skipped) < 2 * 60 * MiB || Number(bytes) > 64 * MiB) {
      throw new Error(`${bytes} bytes crossed, ${skipped} were there`);
    }
    // A connection each: to the destination, two that were refused, and back.
    await lab.assertConnections(4);
    if ((await destination.domains()).size > 0) throw new Error("The destination has a domain");
    await guest.assertArrived(source);
  },
};

const MiB = 1 << 20;

async function hash(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(digest).toHex();
}
