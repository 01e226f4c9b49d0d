/**
 * `make bench-xbzrle`: whether `--xbzrle` shortens the migration of a guest that changes a few bytes in each
 * of its pages, over a connection with a rate and a delay.
 *
 *     xbzrle.ts [--runs N] [--rates MIB,MIB] [--delays MS,MS] [--mib MIB] [--megabits N] [--json FILE]
 *
 * A guest goes round MIB of its RAM and changes a word in each page, at a rate of pages that together have so
 * many MiB a second. A migration that does not end by itself pauses the guest after two minutes.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { busySector, busyState } from "../../tests/scenarios/guest/mod.ts";
import { accelerator } from "../../tests/scenarios/support/qemu.ts";
import { ScenarioContext } from "../../tests/scenarios/support/scenario.ts";
import { median } from "./ground.ts";
import { startLine } from "./line/line.ts";
import { describe, machine } from "./machine.ts";
import { table } from "./report.ts";

const MiB = 1024 * 1024;
const args = parseArgs(Deno.args, {
  string: ["runs", "rates", "delays", "mib", "megabits", "json"],
});
const numbers = (text: unknown, otherwise: string) =>
  String(text ?? otherwise).split(",").map(Number);
const runs = Number(args.runs ?? 3);
const rates = numbers(args.rates, "4,16,64");
const delays = numbers(args.delays, "1,40");
const mib = Number(args.mib ?? 48);
const megabits = Number(args.megabits ?? 100);

const WAYS = {
  "neither": ["--no-auto-converge"],
  "throttle (the default)": [],
  "--xbzrle": ["--xbzrle"],
};
type Way = keyof typeof WAYS;

interface Result {
  readonly seconds: number;
  readonly mib: number;
  readonly pauseMs: number;
  /** The guest had to be paused for the rest. */
  readonly paused: boolean;
}

const about = await machine();
console.log(`${describe(about)}; ${accelerator()}; ${megabits} Mbit/s, ${mib} MiB that change`);
const rows: { delay: number; rate: number; way: Way; results: Result[] }[] = [];
for (const delay of delays) {
  for (const rate of rates) {
    for (const way of Object.keys(WAYS) as Way[]) {
      rows.push({ delay, rate, way, results: [] });
    }
  }
}
for (let i = 0; i < runs; i++) {
  for (const row of rows) {
    const result = await measure(row.delay, row.rate, WAYS[row.way]);
    row.results.push(result);
    console.error(
      `run ${i + 1}: ${row.delay} ms, ${row.rate} MiB/s, ${row.way}: ${JSON.stringify(result)}`,
    );
  }
}
table([
  ["round trip, ms", "changed, MiB/s", "", "s", "MiB that crossed", "pause, ms", "ended by itself"],
  ...rows.map(({ delay, rate, way, results }) => [
    String(delay),
    String(rate),
    way,
    ...(["seconds", "mib", "pauseMs"] as const).map((key) =>
      median(results.map((r) => r[key])).toFixed(key === "seconds" ? 1 : 0)
    ),
    `${results.filter((r) => !r.paused).length} of ${results.length}`,
  ]),
]);
if (args.json !== undefined) {
  await Deno.writeTextFile(
    String(args.json),
    JSON.stringify({ machine: about, rows }, undefined, 1) + "\n",
  );
}

/** One migration of a guest of its own. */
async function measure(delayMs: number, rate: number, flags: readonly string[]): Promise<Result> {
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  try {
    await using context = new ScenarioContext(dir, AbortSignal.timeout(300_000));
    const line = context.use(await startLine(delayMs, megabits));
    const memoryMiB = mib + 32;
    const path = `${dir}/disk.raw`;
    await Deno.writeFile(path, new Uint8Array(MiB));
    const file = await Deno.open(path, { write: true });
    await file.write(busySector({ mibPerSecond: rate, mib }));
    file.close();
    await Deno.copyFile(path, `${dir}/there.raw`);
    const disk = (path: string) => [{ id: "vd0", image: { path, format: "raw" } as const }];
    const source = await context.qemu({ dir, name: "source", memoryMiB, disks: disk(path) });
    const destination = await context.qemu({
      ...{ dir, name: "dest", memoryMiB, disks: disk(`${dir}/there.raw`), incoming: true },
    });
    const secret = `${dir}/secret`;
    await Deno.writeTextFile(secret, `${crypto.randomUUID()}\n`, { mode: 0o600 });
    const common = ["--json", "--secret-file", secret, "--insecure"];
    const receive = context.vmferry({
      name: "receive",
      args: [
        ...["receive", ...common, "--qmp", destination.qmpSocket],
        ...["--listen", `tcp://127.0.0.1:${line.far}`],
      ],
    });
    await receive.waitEvent("listening");
    // The guest has been round its RAM once.
    while ((await busyState((address) => source.peek(address))).laps < 1) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const migrate = context.vmferry({
      name: "migrate",
      args: [
        ...["migrate", ...common, "--qmp", source.qmpSocket, "--reuse", "vd0", ...flags],
        ...["--timeout", "120", "--timeout-action", "suspend", `tcp://127.0.0.1:${line.near}`],
      ],
    });
    const code = await migrate.exit(280_000);
    const end = await migrate.waitEvent("result") as unknown as {
      totalMs: number;
      bytes: number;
      pauseMs: number;
    };
    if (code !== 0) throw new Error(`migrate ended with ${code}: ${JSON.stringify(end)}`);
    const paused = migrate.events.entries.some((e) => e.code === "guest-suspended");
    return {
      seconds: Math.round(end.totalMs / 100) / 10,
      mib: Math.round(end.bytes / MiB),
      pauseMs: Math.round(end.pauseMs),
      paused,
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
