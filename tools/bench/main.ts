/**
 * `make bench`: mirrors through vmferry and through what else there is, side by side, in interleaved
 * rounds. `main.ts [--rounds N] [--disks N] [--mib N] [--json FILE] [ROW...]`.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { cpuSeconds, median, peakMemoryMiB, randomImages } from "./ground.ts";
import { MirrorBench } from "./mirrors.ts";
import { relays } from "./relays.ts";

const args = parseArgs(Deno.args, { string: ["rounds", "disks", "mib", "json"] });
const rounds = Number(args.rounds ?? 5);
const disks = Number(args.disks ?? 4);
const mib = Number(args.mib ?? 512);
const rows = args._.length > 0 ? args._.map(String) : Object.keys(relays);

interface Figures {
  readonly rate: number[];
  readonly cpu: number[];
  memory: number;
}

// Images on tmpfs; sockets elsewhere, since the built program may not touch /dev.
const dir = await Deno.makeTempDir({ prefix: "vmferry-bench-" });
const shm = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "vmferry-bench-" });
const figures = new Map<string, Figures>(
  rows.map((row) => [row, { rate: [], cpu: [], memory: 0 }]),
);
try {
  const bytes = mib * 2 ** 20;
  const images = await randomImages(shm, disks, bytes);
  await using bench = await MirrorBench.start({ dir, images, bytes });
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      const start = relays[row];
      if (!start) throw new Error(`There is no row "${row}", there is ${Object.keys(relays)}`);
      const relay = await start(dir, bench.targetSocket);
      const cpuBefore = relay.pids.map(cpuSeconds).reduce((a, b) => a + b, 0);
      const rate = await bench.run(relay.path);
      const into = figures.get(row)!;
      into.rate.push(rate);
      const cpu = relay.pids.map(cpuSeconds).reduce((a, b) => a + b, 0) - cpuBefore;
      into.cpu.push(cpu / (bytes * disks / 1e9));
      into.memory = Math.max(into.memory, ...relay.pids.map(peakMemoryMiB));
      await relay.stop();
    }
  }
} finally {
  for (const path of [dir, shm]) await Deno.remove(path, { recursive: true });
}

console.log(`${disks} mirrors of ${mib} MiB, ${rounds} rounds; MB/s median (least..most)`);
const report = rows.map((row) => {
  const { rate, cpu, memory } = figures.get(row)!;
  return {
    row,
    mbPerSecond: Math.round(median(rate)),
    least: Math.round(Math.min(...rate)),
    most: Math.round(Math.max(...rate)),
    // A relay that forks has its time in children that are gone or not its own.
    cpuSecondsPerGB: row.startsWith("socat") ? null : Number(median(cpu).toFixed(2)),
    peakMemoryMiB: memory,
  };
});
for (const r of report) {
  const spread = `(${r.least}..${r.most})`;
  console.log(
    `${r.row.padEnd(14)} ${String(r.mbPerSecond).padStart(5)} ${spread.padEnd(14)} ` +
      `CPU ${r.cpuSecondsPerGB ?? "-"} s/GB  peak ${r.peakMemoryMiB} MiB`,
  );
}
if (args.json !== undefined) {
  await Deno.writeTextFile(String(args.json), JSON.stringify({ disks, mib, rounds, report }));
}
