import { type Image, makeEmptyImage, makeImage } from "../guest/mod.ts";
import { type EndDisk, TwoEnds } from "../pair/two_ends.ts";
import { assertExit, assertNone, assertRefused, type Scenario } from "../support/scenario.ts";

/** No multiple of 4096: vmferry must ask NBD servers for whole sectors all the same. */
const BYTES = (8 << 20) + 512;
const MIB = 1 << 20;

/** QEMU has no locks on the disks of a guest that it waits for, and starts with one file on two disks. */
export const scenario: Scenario = {
  name: "two_on_one",
  about:
    "two disks of the destination on one file are refused, and disks of odd sizes are compared",
  timeoutMs: 90_000,
  async run(context) {
    const { dir } = context;
    const image = (name: string): Image => ({ path: `${dir}/${name}.raw`, format: "raw" });
    const disk = (id: string, name: string): EndDisk => ({
      id,
      node: { driver: "raw", file: { driver: "file", filename: image(name).path } },
    });
    await makeImage(image("boot"), {
      ...{ bytes: 9 * MIB, seed: 1 },
      guest: { ring: { start: 2048, length: 4096, runId: 6n }, waitUs: 1000 },
    });
    await makeImage(image("data"), { bytes: 9 * MIB, seed: 2 });
    for (const name of ["boot", "data"]) await Deno.truncate(image(name).path, BYTES);
    await makeEmptyImage(image("one"), BYTES);
    const { mtime: before } = await Deno.stat(image("one").path);
    await Deno.link(image("one").path, image("other-name").path);
    const ends = await TwoEnds.start(context, dir, {
      source: [disk("vd0", "boot"), disk("vd1", "data")],
      destination: [disk("vd0", "one"), disk("vd1", "other-name")],
    });
    const receive = ends.receive();
    await receive.address();
    const reason =
      /disks vd0 \(node .*one\.raw\) and vd1 \(node .*other-name\.raw\) of the destination/;
    await assertRefused(ends.check(), reason);
    await assertRefused(ends.migrate(["--reuse", "vd0", "--reuse", "vd1"]), reason);
    await ends.assertUntouched();
    const { mtime } = await Deno.stat(image("one").path);
    assertNone(Number(mtime) === Number(before) ? [] : ["The destination's image was written to"]);

    context.note("one of the two disks");
    const one = ends.check(["--disk", "vd0"]);
    await assertRefused(one, /disk vd1 of the destination has no counterpart/);
    const warnings = one.events.entries.flatMap((entry) => entry.warnings ?? []);
    assertNone(warnings.map(String).filter((warning) => /not compared/.test(warning)));
    receive.signal("SIGINT");
    await assertExit(receive, 5);
  },
};
