import { differenceOutsideRing, type Image, makeEmptyImage, makeImage } from "../guest/mod.ts";
import { type EndDisk, TwoEnds } from "../pair/two_ends.ts";
import { assertExit, assertNone, assertRefused, type Scenario } from "../support/scenario.ts";

const BYTES = 8 << 20;
const RING = { start: 2048, length: 4096, runId: 7n };
const NAMED = ["--disk", "vd0", "--disk", "vd1"];

/** A guest that moves without such a disk, to a host whose disk is another one, would run on wrong data. */
export const scenario: Scenario = {
  name: "share_rw",
  about:
    "a disk with share-rw=on is refused where the destination's is other storage, and --disk copies it",
  timeoutMs: 120_000,
  async run(context) {
    const { dir } = context;
    const image = (name: string): Image => ({ path: `${dir}/${name}.raw`, format: "raw" });
    const disk = (id: string, name: string): EndDisk => ({
      ...{ id, node: { driver: "raw", file: { driver: "file", filename: image(name).path } } },
      ...(id === "vd1" ? { device: "share-rw=on" } : {}),
    });
    await makeImage(image("boot"), {
      ...{ bytes: BYTES, seed: 1 },
      guest: { ring: RING, waitUs: 1000 },
    });
    await makeImage(image("lun"), { bytes: BYTES, seed: 2 });
    for (const name of ["boot-copy", "lun-copy"]) await makeEmptyImage(image(name), BYTES);
    context.note("the same storage at both ends");
    const same = await TwoEnds.start(context, `${dir}/same`, {
      source: [disk("vd0", "boot"), disk("vd1", "lun")],
      destination: [disk("vd0", "boot-copy"), disk("vd1", "lun")],
    });
    const waiting = same.receive();
    await waiting.address();
    await assertExit(same.check(), 0);
    waiting.signal("SIGINT");
    await assertExit(waiting, 5);
    await same.quit();

    context.note("other storage");
    const ends = await TwoEnds.start(context, dir, {
      source: [disk("vd0", "boot"), disk("vd1", "lun")],
      destination: [disk("vd0", "boot-copy"), disk("vd1", "lun-copy")],
    });
    const first = ends.receive();
    await first.address();
    const reason = /disk vd1 is not copied.*share-rw=on.*0 of 64 blocks/;
    await assertRefused(ends.check(), reason);
    await assertRefused(ends.migrate(), reason);
    await ends.assertUntouched();
    first.signal("SIGINT");
    await assertExit(first, 5);

    const second = ends.receive(NAMED);
    await second.address();
    const migrate = ends.migrate(NAMED);
    await assertExit(migrate, 0);
    await assertExit(second, 0);
    const told = migrate.events.entries.map(({ message }) => String(message));
    assertNone(told.some((m) => /vd1 is copied although/.test(m)) ? [] : ["no warning of vd1"]);
    await ends.assertArrived();
    for (const name of ["boot", "lun"]) {
      const difference = await differenceOutsideRing(image(name), image(`${name}-copy`), RING);
      if (difference) throw new Error(difference);
    }
  },
};
