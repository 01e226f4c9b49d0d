/**
 * `make bench-buffers`: what the buffers of UNIX sockets (net.core.wmem_default, net.core.wmem_max) bring to NBD
 * mirrors through vmferry and through the plain relay. Needs root: it sets both, and sets them back at its end.
 *
 *     main.ts [--rounds N] [--mib N] [--disks N] [--storage-daemon PATH] [--json FILE]
 *
 * A round measures each size once, with daemons and relays that are started anew: a socket keeps the size that it
 * was made with.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { makeDirectories, median, randomFile } from "../ground.ts";
import { describe, machine } from "../machine.ts";
import { MirrorBench } from "../mirrors.ts";
import { cpuSeconds } from "../processes.ts";
import { relays } from "../relays/relays.ts";
import { table } from "../report.ts";

const KIB = 1024;
/** `net.core.wmem_default` and `net.core.wmem_max`, KiB. The first is what Linux begins with. */
const SIZES = [[208, 208], [1024, 1024], [2048, 2048], [4096, 4096], [208, 4096]] as const;
const ROWS = ["direct", "plain relay", "vmferry tcp"];
const SETTINGS = ["wmem_default", "wmem_max"].map((name) => `/proc/sys/net/core/${name}`);

const args = parseArgs(Deno.args, {
  string: ["rounds", "mib", "disks", "storage-daemon", "json"],
});
const rounds = Number(args.rounds ?? 5);
const bytes = Number(args.mib ?? 512) * KIB ** 2;
const disks = Number(args.disks ?? 4);
const program = args["storage-daemon"] === undefined ? undefined : String(args["storage-daemon"]);

/** Of one run: MB (10^6 bytes) a second; CPU of both ends, s/GB. */
interface Run {
  readonly rate: number;
  readonly cpu: number;
}

const about = await machine();
console.log(describe(about));
const found = await Promise.all(SETTINGS.map((path) => Deno.readTextFile(path)));
const runs = new Map<string, Run[]>();
// The settings are the host's: nothing else would set them back.
for (const name of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(name, () => set(found.map(Number)).finally(() => Deno.exit(1)));
}
try {
  await using directories = await makeDirectories();
  const image = `${directories.data}/image.raw`;
  await randomFile(image, bytes);
  for (let round = 0; round < rounds; round++) {
    for (const size of SIZES) {
      // The limit first: the default may not exceed it.
      await set([size[0] * KIB, size[1] * KIB]);
      for (const row of ROWS) {
        const key = `${row} ${size}`;
        const run = await measure(row, directories.sockets, image);
        runs.set(key, [...runs.get(key) ?? [], run]);
      }
      console.error(`round ${round + 1} of ${rounds}: ${size}`);
    }
  }
} finally {
  await set(found.map(Number));
}

const rows = SIZES.flatMap((size) =>
  ROWS.map((row) => {
    const [own, base] = [runs.get(`${row} ${size}`)!, runs.get(`${row} ${SIZES[0]}`)!];
    const ratio = (member: keyof Run) =>
      median(own.map((run, i) => run[member] / base[i]![member]));
    return {
      ...{ wmemDefaultKiB: size[0], wmemMaxKiB: size[1], row },
      ...{ rate: median(own.map(({ rate }) => rate)), rateRatio: ratio("rate") },
      ...{ cpu: median(own.map(({ cpu }) => cpu)), cpuRatio: ratio("cpu") },
    };
  })
);
console.log(
  `\n${disks} mirrors, medians of ${rounds} rounds; x: of the first size, in its round\n`,
);
table([
  ["wmem_default", "wmem_max", "row", "MB/s", "x", "CPU s/GB", "x"],
  ...rows.map((row) => [
    ...[`${row.wmemDefaultKiB} KiB`, `${row.wmemMaxKiB} KiB`, row.row],
    ...[row.rate.toFixed(0), row.rateRatio.toFixed(2)],
    ...(row.row === "direct" ? ["", ""] : [row.cpu.toFixed(2), row.cpuRatio.toFixed(2)]),
  ]),
]);
if (args.json !== undefined) {
  const report = { machine: about, rounds, bytes, disks, rows };
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

async function set(values: readonly number[]): Promise<void> {
  // The limit first, since the default may not be above it; when it sinks, the default first.
  for (const i of [1, 0, 1]) await Deno.writeTextFile(SETTINGS[i]!, String(values[i]));
}

async function measure(row: string, dir: string, image: string): Promise<Run> {
  await using mirrors = await MirrorBench.start({
    ...{ dir, image, bytes, counts: [disks] },
    ...(program === undefined ? {} : { program }),
  });
  const relay = await relays[row]!(dir, mirrors.targetSocket);
  try {
    const used = () => row === "direct" ? 0 : cpuSeconds(relay.near!) + cpuSeconds(relay.far!);
    const before = used();
    let cpu = 0;
    const seconds = await mirrors.run(relay.path, disks, () => void (cpu = used() - before));
    return { rate: bytes / 1e6 / seconds, cpu: cpu / (bytes / 1e9) };
  } finally {
    await relay.stop();
  }
}
