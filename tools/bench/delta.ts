/**
 * `make bench-delta`: the way back to a host with an old copy of the disk, over a link with a delay and a rate,
 * beside the first way there, in interleaved rounds.
 *
 *     delta.ts [--rtt 20] [--mbit 200] [--mib 256] [--changed 2] [--rounds 3] [--image FILE] [--json FILE]
 *
 * The disk has MIB of data from all over a Debian root image; so many percent of its blocks of 64 KiB, picked
 * at random, have changed since. Each way is a whole `migrate` with QEMUs of its own.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { ScenarioContext } from "../../tests/scenarios/support/scenario.ts";
import { denseImage, ROOT_IMAGE } from "./dense_image.ts";
import { makeDirectories, median } from "./ground.ts";
import { startLine } from "./line/line.ts";
import { describe, machine } from "./machine.ts";
import { table } from "./report.ts";

const MIB = 1 << 20;
const BLOCK = 1 << 16;
const args = parseArgs(Deno.args, {
  string: ["rtt", "mbit", "mib", "changed", "rounds", "image", "json"],
});
const rttMs = Number(args.rtt ?? 20);
const mbit = Number(args.mbit ?? 200);
const bytes = Number(args.mib ?? 256) * MIB;
const share = Number(args.changed ?? 2) / 100;
const rounds = Number(args.rounds ?? 3);

/** A way: whether the destination has an old copy, and the options of `migrate`. */
const WAYS = {
  "first way": { old: false, flags: [] },
  "way back": { old: true, flags: [] },
  "way back, --delta": { old: true, flags: ["--delta"] },
} as const;
type Way = keyof typeof WAYS;

interface Result {
  readonly seconds: number;
  readonly bytes: number;
}

const about = await machine();
console.log(describe(about));
const results = new Map<Way, Result[]>();
{
  await using directories = await makeDirectories();
  const { data } = directories;
  await denseImage(String(args.image ?? ROOT_IMAGE), `${data}/old`, bytes);
  await Deno.copyFile(`${data}/old`, `${data}/new`);
  await change(`${data}/new`);
  for (let round = 0; round < rounds; round++) {
    for (const compress of ["off", "auto"]) {
      for (const way of Object.keys(WAYS) as Way[]) {
        const result = await measure(data, way, ["--compress", compress]);
        const name = `${way}, --compress ${compress}` as Way;
        results.set(name, [...results.get(name) ?? [], result]);
        console.error(`${name}: ${result.seconds.toFixed(2)} s, ${result.bytes} bytes`);
      }
    }
  }
}
const base = results.get("first way, --compress off" as Way)!;
console.log(`\n${bytes / MIB} MiB over ${mbit} Mbit/s, ${rttMs} ms, median of ${rounds} rounds\n`);
table([
  ["", "s", "MiB that crossed", "bytes / first way", "time / first way"],
  ...[...results].map(([way, each]) => [
    way,
    median(each.map(({ seconds }) => seconds)).toFixed(2),
    (median(each.map((result) => result.bytes)) / MIB).toFixed(1),
    median(each.map((result, i) => result.bytes / base[i]!.bytes)).toFixed(3),
    median(each.map(({ seconds }, i) => seconds / base[i]!.seconds)).toFixed(2),
  ]),
]);
if (args.json !== undefined) {
  const report = {
    machine: about,
    rttMs,
    mbit,
    bytes,
    share,
    results: Object.fromEntries(results),
  };
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

/** One migration with QEMUs of its own. */
async function measure(data: string, way: Way, more: readonly string[]): Promise<Result> {
  const { old, flags } = WAYS[way];
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  try {
    await using context = new ScenarioContext(dir, AbortSignal.timeout(300_000));
    const line = context.use(await startLine(rttMs, mbit));
    const there = `${data}/there`;
    if (old) await Deno.copyFile(`${data}/old`, there);
    else await Deno.writeFile(there, new Uint8Array());
    await Deno.truncate(there, bytes);
    const end = (path: string) => ({
      ...{ dir, memoryMiB: 32, cpus: 1 },
      disks: [{ id: "vd0", image: { path, format: "raw" } as const }],
    });
    const source = await context.qemu({ ...end(`${data}/new`), name: "source" });
    const destination = await context.qemu({ ...end(there), name: "dest", incoming: true });
    const secret = `${dir}/secret`;
    await Deno.writeTextFile(secret, `${crypto.randomUUID()}\n`, { mode: 0o600 });
    const common = ["--json", "--secret-file", secret, "--insecure", ...more];
    const receive = context.vmferry({
      name: "receive",
      args: [
        ...["receive", ...common, "--qmp", destination.qmpSocket],
        ...["--listen", `tcp://127.0.0.1:${line.far}`],
      ],
    });
    await receive.waitEvent("listening");
    const migrate = context.vmferry({
      name: "migrate",
      args: [
        ...["migrate", ...common, "--qmp", source.qmpSocket, "--reuse", "vd0", ...flags],
        `tcp://127.0.0.1:${line.near}`,
      ],
    });
    const code = await migrate.exit(280_000);
    const ended = await migrate.waitEvent("result") as unknown as {
      totalMs: number;
      bytes: number;
    };
    if (code !== 0) throw new Error(`migrate ended with ${code}: ${JSON.stringify(ended)}`);
    return { seconds: ended.totalMs / 1000, bytes: ended.bytes };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Changes blocks at random; the same ones in each run. */
async function change(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true });
  let state = 1;
  const random = () => (state = state * 48271 % 0x7fffffff) / 0x7fffffff;
  const blocks = bytes / BLOCK;
  for (let i = 0; i < blocks * share; i++) {
    await file.seek(Math.floor(random() * blocks) * BLOCK, Deno.SeekMode.Start);
    await file.write(crypto.getRandomValues(new Uint8Array(BLOCK)));
  }
}
