/**
 * `make bench-growth`: CPU and memory of one vmferry pair as there are more disks, and as more goes
 * through it in one run. `growth.ts [--gib N] [--most-disks N] [--json FILE]`.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { makeDirectories, randomFile } from "./ground.ts";
import { describe, machine } from "./machine.ts";
import { MirrorBench } from "./mirrors.ts";
import { cpuSeconds, memoryMiB, peakMemoryMiB } from "./processes.ts";
import { type Relay, relays } from "./relays/relays.ts";
import { table } from "./report.ts";

const args = parseArgs(Deno.args, { string: ["gib", "most-disks", "json"] });
const mostGiB = Number(args.gib ?? 32);
const mostDisks = Number(args["most-disks"] ?? 64);
const bytes = 2 ** 30;

interface Row {
  readonly what: string;
  readonly mbPerSecond: number;
  readonly cpuNear: number;
  readonly cpuFar: number;
  /** MiB of both ends together. */
  readonly memory: number;
  readonly peak: number;
}

const about = await machine();
console.log(describe(about));
const rows: Row[] = [];
{
  await using directories = await makeDirectories();
  const dir = directories.sockets;
  const image = `${directories.data}/image.raw`;
  await randomFile(image, bytes);
  const counts = [1, 4, 16, 64].filter((count) => count <= mostDisks);
  await using mirrors = await MirrorBench.start({ dir, image, bytes, counts });
  const start = async () => await relays["vmferry tcp"]!(dir, mirrors.targetSocket);
  for (const count of counts) {
    await using relay = stopping(await start());
    // The first run warms the program up, as the rest of a larger copy would be.
    await mirrors.run(relay.path, count);
    rows.push(await measure(relay, mirrors, count, 1, `${count} disks, 1 GiB`));
  }
  await using relay = stopping(await start());
  for (let gib = 1, done = 0; gib <= mostGiB; gib *= 2) {
    rows.push(await measure(relay, mirrors, 4, gib - done, `4 disks, GiB ${done + 1} to ${gib}`));
    done = gib;
  }
}
console.log("\nCPU in s/GB of the near + far end; memory then and at its peak, both ends, MiB\n");
table([
  ["what", "MB/s", "CPU", "memory", "peak"],
  ...rows.map((r) => [
    r.what,
    r.mbPerSecond.toFixed(0),
    `${r.cpuNear.toFixed(2)} + ${r.cpuFar.toFixed(2)}`,
    r.memory.toFixed(0),
    r.peak.toFixed(0),
  ]),
]);
if (args.json !== undefined) {
  const report = { machine: about, rows };
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

async function measure(
  relay: Relay,
  mirrors: MirrorBench,
  count: number,
  times: number,
  what: string,
): Promise<Row> {
  const [near, far] = [relay.near!, relay.far!];
  const before = [cpuSeconds(near), cpuSeconds(far)] as const;
  let seconds = 0;
  for (let i = 0; i < times; i++) seconds += await mirrors.run(relay.path, count);
  const gb = times * bytes / 1e9;
  const row = {
    what,
    mbPerSecond: gb * 1000 / seconds,
    cpuNear: (cpuSeconds(near) - before[0]) / gb,
    cpuFar: (cpuSeconds(far) - before[1]) / gb,
    memory: memoryMiB(near) + memoryMiB(far),
    peak: peakMemoryMiB(near) + peakMemoryMiB(far),
  };
  console.error(JSON.stringify(row));
  return row;
}

function stopping(relay: Relay): Relay & AsyncDisposable {
  return { ...relay, [Symbol.asyncDispose]: () => relay.stop() };
}
