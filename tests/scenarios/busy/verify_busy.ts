import { writerSector, writerState } from "../guest/mod.ts";
import { flipByte, heldAtComparison, verifiedBy } from "../pair/flips.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { BusyPair } from "./lab/busy_pair.ts";

const MiB = 1024 * 1024;
/** The guest goes round the disk's first part; the rest holds random bytes. */
const WRITES = { mib: 24 } as const;
const FILL = { from: 32 * MiB, to: 64 * MiB } as const;
/** Faster than the guest can write. */
const FULL_SPEED = 400;
const SLOW = 4;

const runs = (name: string, byDefault: number) => Number(Deno.env.get(name) ?? byDefault);

/** Numbers of runs: `VERIFY_FLIPS` and `VERIFY_RUNS`. `make bench-verify` has 20 and 50. */
export const scenario: Scenario = {
  name: "verify_busy",
  about: "--verify finds each flipped byte of a guest that writes, and none where there is none",
  timeoutMs: 3_600_000,
  long: true,
  async run(context) {
    const flips = runs("VERIFY_FLIPS", 2);
    const plain = runs("VERIFY_RUNS", 3);
    for (let run = 0; run < flips; run++) await flipped(context, run);
    const unproved: number[] = [];
    const written: number[] = [];
    const pauses: number[] = [];
    const beside: number[] = [];
    for (let run = 0; run < plain; run++) {
      const result = await busy(context, run);
      unproved.push(result.unproved);
      written.push(result.mibPerSecond);
      pauses.push(result.pauseMs);
      beside.push(result.beside);
    }
    return `${flips} of ${flips} flips found; ${plain} runs without a false one, written ` +
      `${range(beside)} MiB/s while both ends compared (${
        range(written)
      } by the guest), blocks not proved ${range(unproved)}, paused ${range(pauses)} ms`;
  },
};

async function start(
  context: ScenarioContext,
  name: string,
  mibPerSecond: number,
  gated = false,
) {
  const writer = { ...WRITES, mibPerSecond };
  const pair = await BusyPair.start(context, {
    ...{ name, sector: writerSector(writer), memoryMiB: 32, fill: FILL, gated },
  });
  await poll("the guest to write", async () => {
    const { written } = await writerState((address) => pair.source.peek(address));
    return written >= 30 && written < 1e6 ? written : undefined;
  }, 120_000);
  return pair;
}

async function flipped(context: ScenarioContext, run: number): Promise<void> {
  context.note(`flip ${run}`);
  const pair = await start(context, `f${run}`, SLOW, true);
  const at = FILL.from + Math.floor(Math.random() * (FILL.to - FILL.from));
  const { migrate: ferries, held } = await heldAtComparison(
    pair.gate!,
    () => pair.migrate("--verify"),
  );
  await flipByte(`${pair.dir}/dest.raw`, at);
  held.release();
  await assertExit(ferries.migrate, 0, 120_000);
  const [disk] = verifiedBy(ferries.migrate);
  if (disk?.differed !== 1) {
    throw new Error(`Run ${run}: ${disk?.differed} blocks differed, expected 1 (at ${at})`);
  }
  await over(pair, ferries);
}

async function busy(context: ScenarioContext, run: number) {
  context.note(`run ${run}`);
  const pair = await start(context, `b${run}`, FULL_SPEED);
  const state = () => writerState((address) => pair.source.peek(address));
  const [first, begin] = [await state(), performance.now()];
  const ferries = await pair.migrate("--verify");
  await ferries.migrate.waitEvent("phase", (e) => e.phase === "verify", 120_000);
  const more = writeBeside(pair);
  await ferries.migrate.waitEvent("phase", (e) => e.phase === "ram", 120_000);
  const beside = await more.stop();
  const blocks = (await state()).written - first.written;
  const seconds = (performance.now() - begin) / 1000;
  await assertExit(ferries.migrate, 0, 120_000);
  const [disk] = verifiedBy(ferries.migrate);
  if (disk?.differed !== 0) {
    throw new Error(`Run ${run}: ${disk?.differed} blocks differed, expected 0`);
  }
  const result = ferries.migrate.events.entries.find((e) => e.event === "result");
  await over(pair, ferries);
  return {
    unproved: disk.unproved,
    mibPerSecond: blocks / 32 / seconds,
    beside,
    pauseMs: Number(result?.pauseMs),
  };
}

/** Writes to the guest's disk as the guest would, until it is stopped: much faster than the guest does. */
function writeBeside(pair: BusyPair) {
  let isOver = false;
  const begin = performance.now();
  let mib = 0;
  const writing = (async () => {
    while (!isOver) {
      const at = FILL.from + 16 * MiB + Math.floor(Math.random() * 15) * MiB + 4096;
      const pattern = 1 + Math.floor(Math.random() * 255);
      const [said, was] = [await hmp(pair, `write -P ${pattern} ${at} 1M`), mib++];
      // What it writes is there: the first time is enough.
      if (was === 0) {
        const read = await hmp(pair, `read -P ${pattern} ${at} 1M`);
        if (`${said}${read}` !== "") throw new Error(`qemu-io: ${said}${read}`);
      }
    }
  })();
  return {
    /** @returns MiB a second. */
    async stop(): Promise<number> {
      isOver = true;
      await writing;
      return mib / ((performance.now() - begin) / 1000);
    },
  };
}

async function hmp(pair: BusyPair, command: string): Promise<string> {
  return String(
    await pair.source.execute("human-monitor-command", {
      "command-line": `qemu-io -d /machine/peripheral/vd0/virtio-backend "${command}"`,
    }),
  );
}

async function over(
  pair: BusyPair,
  ferries: Awaited<ReturnType<BusyPair["migrate"]>>,
): Promise<void> {
  await assertExit(ferries.receive, 0);
  await pair.end();
  // Both ends hold the same where the guest does not write.
  const [from, to] = await Promise.all(
    ["source", "dest"].map((side) =>
      bytesOf(`${pair.dir}/${side}.raw`, FILL.from, FILL.to - FILL.from)
    ),
  );
  const different = from!.findIndex((byte, i) => byte !== to![i]);
  if (different >= 0) throw new Error(`The images differ at ${FILL.from + different}`);
  for (const side of ["source", "dest"]) await Deno.remove(`${pair.dir}/${side}.raw`);
}

async function bytesOf(path: string, at: number, length: number): Promise<Uint8Array> {
  using file = await Deno.open(path);
  await file.seek(at, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  let end = 0;
  for (let n; end < length && (n = await file.read(bytes.subarray(end))); end += n);
  return bytes.subarray(0, end);
}

function range(values: readonly number[]): string {
  const sorted = values.map(Math.round).sort((a, b) => a - b);
  if (sorted.length === 0) return "-";
  return `${sorted[0]} to ${sorted.at(-1)} (median ${sorted[sorted.length >> 1]})`;
}
