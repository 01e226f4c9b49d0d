import { assertTold, BUSY, whileInRam, whileMirroring } from "../support/failing.ts";
import { Pair } from "../pair/pair.ts";
import { assertNone, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { leftInQemu, qemuState } from "../support/host.ts";

/** A QEMU that is killed on either side while disks or RAM cross. */
export const scenario: Scenario = {
  name: "crashes",
  about: "both sides report a QEMU that is killed, and the other QEMU is unharmed",
  timeoutMs: 240_000,
  async run(context) {
    const said: string[] = [];
    for (const phase of ["mirror", "ram"] as const) {
      context.note(`the destination's QEMU dies in phase ${phase}`);
      const pair = await started(context, `dest-${phase}`);
      const standing = phase === "mirror" ? await whileMirroring(pair) : await whileInRam(pair);
      await pair.destination.crash();
      said.push(
        await assertTold(context, standing, {
          side: "destination",
          message: /^QEMU has ended.*start it again with -incoming defer/,
          ...(phase === "ram" ? { next: /RAM had begun to cross/ } : {}),
        }),
      );
      await pair.assertStillAtSource({ destinationGone: true });

      context.note(`the source's QEMU dies in phase ${phase}`);
      const other = await started(context, `src-${phase}`);
      const before = await qemuState(other.destination);
      const dying = phase === "mirror" ? await whileMirroring(other) : await whileInRam(other);
      await other.source.crash();
      said.push(
        await assertTold(context, dying, {
          side: "source",
          code: "source-qemu-gone",
          message: /^QEMU has ended[^.]*$/,
          next: phase === "ram" ? /guest again.*had begun to cross/s : /guest again there$/,
        }),
      );
      // A QEMU before 9.1 ends with its RAM stream, and vmferry ends after it.
      const ends = phase === "ram" && !other.destination.atLeast(9, 1);
      if (await other.destination.gone() !== ends) {
        throw new Error(`The destination's QEMU ${ends ? "is there still" : "ended too"}`);
      }
      if (!ends) assertNone(leftInQemu("dest", before, await qemuState(other.destination)));
    }
    return said[0]!;
  },
};

async function started(context: ScenarioContext, name: string): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  return await Pair.start(context, {
    dir,
    bytes: 24 << 20,
    guest: BUSY,
    gated: name.endsWith("ram"),
  });
}
