import type { Scenario } from "../support/scenario.ts";
import {
  assertLabAsBefore,
  assertMigrated,
  labState,
  LibvirtLab,
  RingDomain,
  startDomainFerries,
  tracesOf,
} from "./lab/mod.ts";

const UNPACKED = new URL("../../../.tools/libvirt-trixie/root", import.meta.url);

/** libvirt 9.0 to 11, QEMU 7.2 to 10.0. */
export const scenario: Scenario = {
  name: "debian13",
  about: "a domain moves from this machine's libvirt to libvirt 11 and QEMU 10.0 of Debian 13",
  timeoutMs: 150_000,
  long: true,
  async run(context) {
    const lab = await LibvirtLab.start(context, { destinationRoot: await destinationRoot() });
    const { source, destination } = lab;
    const [here, there] = [await versionOf(source), await versionOf(destination)];
    if (there === here) throw new Error(`Both hosts have libvirt ${there}`);
    const before = await labState(lab);
    const guest = await RingDomain.start(lab, { persistent: true });
    const ferries = await startDomainFerries(context, lab, guest.name, {
      args: ["--", "--persistent", "--undefinesource"],
    });
    const { totalMs, downtimeMs } = await assertMigrated(ferries);
    await lab.assertConnections(1);
    if ((await source.domains()).size > 0) throw new Error("The source keeps the domain");
    // libvirt makes the directory of definitions with the first one.
    const own =
      `/${guest.name}(-\\d\\.(qcow2|raw)|\\.xml)$|^file /etc/libvirt/qemu(/autostart|/networks)?$`;
    await assertLabAsBefore(lab, before, new RegExp(`${tracesOf(guest.name).source}|${own}`));
    await guest.assertArrived();
    await destination.virsh("undefine", guest.name);
    return `libvirt ${here} to ${there}: ${totalMs} ms, downtime ${downtimeMs} ms`;
  },
};

/** `LIBVIRT_DEST` from the environment, else what tools/libvirt.sh has unpacked. */
async function destinationRoot(): Promise<string> {
  const given = Deno.env.get("LIBVIRT_DEST");
  if (given) return given;
  return await Deno.realPath(UNPACKED).catch(() => {
    throw new Error("There is no libvirt of Debian 13: run 'make libvirt NAME=debian13'");
  });
}

async function versionOf(host: LibvirtLab["source"]): Promise<string> {
  const text = await host.virsh("version", "--daemon");
  return /Running against daemon: (\S+)/.exec(text)?.[1] ?? text;
}
