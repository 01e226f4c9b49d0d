/**
 * `make bench`: NBD mirrors and a raw byte stream through vmferry and through what else there is, side
 * by side, in interleaved rounds.
 *
 *     main.ts [--rounds N] [--mib N] [--json FILE] [ROW...]
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { makeDirectories, randomFile } from "./ground.ts";
import { describe, machine } from "./machine.ts";
import { MirrorBench } from "./mirrors.ts";
import { cpuSeconds, peakMemoryMiB } from "./processes.ts";
import { RawBench } from "./relays/raw.ts";
import { type Relay, relays, type StartRelay } from "./relays/relays.ts";
import { type Column, Figures, printTable, summary } from "./report.ts";
import { roundTrips } from "./rpc.ts";

const MIB = 1 << 20;

const args = parseArgs(Deno.args, { string: ["rounds", "mib", "json"] });
const rounds = Number(args.rounds ?? 3);
const bytes = Number(args.mib ?? 512) * MIB;
const rows = args._.length > 0 ? args._.map(String) : Object.keys(relays);
for (const row of rows) {
  if (!relays[row]) throw new Error(`There is no row "${row}", there is ${Object.keys(relays)}`);
}

const about = await machine();
console.log(describe(about));
const figures = new Map(rows.map((row) => [row, new Figures()]));
{
  await using directories = await makeDirectories();
  const image = `${directories.data}/image.raw`;
  await randomFile(image, bytes);
  const dir = directories.sockets;
  await using mirrors = await MirrorBench.start({ dir, image, bytes, counts: [1, 4, 16] });
  await using raw = await RawBench.start(dir);
  // In each round every row once, beginning with another one each time: what changes on the machine
  // in the course of a run changes for all of them.
  for (let round = 0; round < rounds; round++) {
    for (const i of rows.keys()) {
      const row = rows[(i + round) % rows.length]!;
      await measure(relays[row]!, figures.get(row)!, { dir, mirrors, raw });
      Deno.stderr.writeSync(new TextEncoder().encode(`round ${round + 1} of ${rounds}: ${row}\n`));
    }
  }
}

const report = { machine: about, rounds, bytes, rows: summary(figures) };
printTable(report.rows);
if (args.json !== undefined) {
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

interface Ground {
  readonly dir: string;
  readonly mirrors: MirrorBench;
  readonly raw: RawBench;
}

async function measure(start: StartRelay, into: Figures, ground: Ground): Promise<void> {
  const { dir, mirrors, raw } = ground;
  {
    await using relay = stopping(await start(dir, mirrors.targetSocket));
    for (const count of [1, 4, 16] as const) {
      await timed(relay, into, `${count} mirrors`, (done) => mirrors.run(relay.path, count, done));
    }
    if (relay.refusedPath !== undefined) {
      const stop = new AbortController();
      const trips = roundTrips(relay.refusedPath, stop.signal);
      await mirrors.run(relay.path, 4, () => stop.abort());
      into.roundTrips.push(...await trips);
    }
  }
  await using relay = stopping(await start(dir, raw.targetSocket));
  // V8 compiles the most used code of a relay during its first stream.
  for (const column of ["raw", "raw again"] as const) {
    await timed(relay, into, column, async (done) => {
      const seconds = await raw.run(relay.path, bytes);
      done();
      return seconds;
    });
  }
}

/** Runs something once; takes down how fast it was and what the relay's processes used for it. */
async function timed(
  relay: Relay,
  into: Figures,
  column: Column,
  run: (whenDone: () => void) => Promise<number>,
): Promise<void> {
  const ends = ["near", "far"] as const;
  const cpu = () => ends.map((end) => relay[end] === undefined ? 0 : cpuSeconds(relay[end]!));
  const before = cpu();
  let after = before;
  const seconds = await run(() => {
    after = cpu();
    for (const end of ends) {
      const pid = relay[end];
      if (pid !== undefined) into.memory[end] = Math.max(into.memory[end], peakMemoryMiB(pid));
    }
  });
  into.rates[column].push(bytes / 1e6 / seconds);
  for (const [i, end] of ends.entries()) {
    into.cpu[end][column].push((after[i]! - before[i]!) / (bytes / 1e9));
  }
}

function stopping(relay: Relay): Relay & AsyncDisposable {
  return { ...relay, [Symbol.asyncDispose]: () => relay.stop() };
}
