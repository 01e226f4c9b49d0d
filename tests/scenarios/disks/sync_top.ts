import { Pair } from "../pair/pair.ts";
import type { PairBacking } from "../pair/pair_backing.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";

const BYTES = 24 * MiB;
/** The ring and metadata: what the guest writes, and what crosses. */
const THIN = 12 * MiB;

/** Chains that are the same at both ends; without one, the disk crosses as a whole. */
const SAME: readonly (PairBacking | undefined)[] = [
  { format: "qcow2" },
  { format: "raw" },
  { format: "raw", depth: 2 },
  undefined,
];

/** Chains that differ, with what the refusal says of them. */
const DIFFERENT: readonly (readonly [PairBacking, RegExp])[] = [
  [
    { format: "qcow2", there: "none" },
    /disk vd0: the destination's image has no backing file, expected .*low\.qcow2 \(24 MiB\)/,
  ],
  [
    { format: "qcow2", there: "other name" },
    /disk vd1: the destination's backing file is .*renamed\.qcow2 .*, expected .*low\.qcow2/,
  ],
  [
    { format: "raw", there: "other size" },
    /disk vd2: the destination's backing file .*low\.raw has 25 MiB, the source's .* has 24 MiB/,
  ],
  [{ format: "raw", there: "own data" }, /disk vd3: the destination's image has data of its own/],
  [
    { format: "qcow2", depth: 2, there: "flat" },
    /disk vd4: the destination's backing file is .*low\.qcow2 .*, expected .*up\.qcow2/,
  ],
];

export const scenario: Scenario = {
  name: "sync_top",
  about: "--sync top copies the uppermost image over the same backing files, and refuses others",
  timeoutMs: 600_000,
  long: true,
  async run(context) {
    context.note("the same backing files, and a disk without one");
    const pair = await started(context, "same", SAME);
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--sync", "top", "--verify-base"]);
    await migrate.waitEvent("warning", (e) => {
      return e.code === "sync-full" && /^vd3: /.test(String(e.message));
    });
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0);
    const allocated: string[] = [];
    for (const path of pair.destinationImages.slice(0, 3)) {
      const bytes = (await Deno.stat(path)).blocks! * 512;
      if (bytes > THIN) throw new Error(`${path} takes ${bytes} bytes, expected ${THIN} at most`);
      allocated.push(`${Math.round(bytes / MiB)} MiB`);
    }
    await pair.assertArrived();

    context.note("other backing files");
    const other = await started(context, "other", DIFFERENT.map(([backing]) => backing));
    const refusing = other.receive();
    const error = await refusal(other, await refusing.address(), []);
    for (const [, message] of DIFFERENT) {
      if (!message.test(error)) throw new Error(`Got ${error}, expected ${message}`);
    }
    await other.assertStillAtSource({ receiving: true });

    context.note("other contents under the same name");
    const changed = await started(context, "contents", [
      { format: "qcow2" },
      { format: "qcow2", depth: 2, there: "other content" },
    ]);
    const last = changed.receive();
    const words = await refusal(changed, await last.address(), ["--verify-base"]);
    const expected = /^disk vd1: the contents of the destination's backing file differ from .*up\./;
    if (!expected.test(words)) throw new Error(`Got ${words}, expected ${expected}`);
    await changed.assertStillAtSource({ receiving: true });
    return `the images take ${allocated.join(", ")}`;
  },
};

async function started(
  context: ScenarioContext,
  name: string,
  backings: readonly (PairBacking | undefined)[],
): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  const disks = backings.map((backing) => {
    return { from: "qcow2", to: "qcow2", ...(backing ? { backing } : {}) } as const;
  });
  return await Pair.start(context, { dir, bytes: BYTES, memoryMiB: 64, disks });
}

/** The message of a migration that is refused because of its backing files. */
async function refusal(pair: Pair, address: string, flags: readonly string[]): Promise<string> {
  const migrate = pair.migrate(address, ["--sync", "top", ...flags]);
  await assertExit(migrate, 3, 180_000);
  const { error } = await migrate.waitEvent("result") as unknown as {
    error: { code: string; side: string; message: string };
  };
  if (error.code !== "base-differs" || error.side !== "destination") {
    throw new Error(`Got ${JSON.stringify(error)}, expected base-differs of the destination`);
  }
  return error.message;
}
