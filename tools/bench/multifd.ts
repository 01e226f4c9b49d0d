/**
 * `make bench-multifd`: the rate at which RAM crosses in one stream and in several (`--multifd`), with vmferry
 * on loopback and with nothing between the QEMUs. The guest's RAM is in use: random bytes. It has no disk and
 * is paused, so that nothing but RAM crosses. `--ways` selects.
 *
 *     multifd.ts [--rounds N] [--memory MIB] [--ways "one stream,multifd 4"] [--prealloc] [--json FILE]
 *
 * Both QEMUs and both vmferrys run on this machine, so that all of them share its processors. A round runs each
 * way once. With `--prealloc` the destination's QEMU allocates its RAM before the guest arrives: the kernel's
 * work to clear pages is then no part of the crossing. The rate is QEMU's own: bytes of RAM through the time of the whole migration of RAM.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { filledMemory } from "../../tests/scenarios/pair/filled_memory.ts";
import { accelerator, type Qemu } from "../../tests/scenarios/support/qemu.ts";
import { assertExit, ScenarioContext } from "../../tests/scenarios/support/scenario.ts";
import { poll } from "../../tests/scenarios/support/waiting.ts";
import { median } from "./ground.ts";
import { describe, machine } from "./machine.ts";
import { cpuSeconds } from "./processes.ts";
import { table } from "./report.ts";
import { run } from "../run.ts";

/** How RAM crosses. */
interface Way {
  readonly name: string;
  /** Channels of multifd; 0: one stream. */
  readonly channels: number;
  readonly compression?: string;
  /** Nothing is between the QEMUs. */
  readonly direct?: true;
}

const WAYS: readonly Way[] = [
  { name: "direct one stream", channels: 0, direct: true },
  { name: "direct multifd 4", channels: 4, direct: true },
  { name: "one stream", channels: 0 },
  { name: "multifd 2", channels: 2 },
  { name: "multifd 4", channels: 4 },
  { name: "multifd 8", channels: 8 },
];

/** Two QEMUs of a round. */
interface Ends {
  readonly context: ScenarioContext;
  readonly dir: string;
  readonly source: Qemu;
  readonly destination: Qemu;
}

/** Of one crossing. CPU in s. */
interface Measured {
  /** MB (10^6 bytes) a second. */
  readonly rate: number;
  readonly downtimeMs: number;
  /** Of the source's QEMU, the source's vmferry, the destination's vmferry, the destination's QEMU, s/GB. */
  readonly cpu: readonly number[];
}

const args = parseArgs(Deno.args, {
  string: ["rounds", "memory", "ways", "json"],
  boolean: ["prealloc"],
});
const rounds = Number(args.rounds ?? 5);
const memoryMiB = Number(args.memory ?? 1024);
const chosen = args.ways === undefined ? undefined : String(args.ways).split(",");
const ways = chosen ? WAYS.filter(({ name }) => chosen.includes(name)) : WAYS;

const about = await machine();
console.log(
  `${describe(about)}; ${accelerator()}; ${memoryMiB} MiB of RAM${
    args.prealloc ? ", preallocated" : ""
  }`,
);
const results = new Map<Way, Measured[]>(ways.map((way) => [way, []]));
for (let round = 0; round < rounds; round++) {
  for (const way of ways) {
    const measured = await measure(way);
    results.get(way)!.push(measured);
    console.error(`${way.name}: ${measured.rate.toFixed(0)} MB/s`);
  }
  console.error(`round ${round + 1} of ${rounds}`);
}

const base = results.get(ways.find(({ name }) => name === "one stream")!);
/** The median over the rounds of the ratio within a round. */
const ratio = (measured: readonly Measured[]) =>
  base ? median(measured.map(({ rate }, i) => rate / base[i]!.rate)).toFixed(2) : "";
console.log("\nMB/s: median (least..most); CPU in s/GB: QEMU, vmferry, vmferry, QEMU = sum\n");
table([
  ["way", "MB/s", "to one stream", "CPU", "downtime, ms"],
  ...[...results].map(([{ name }, measured]) => {
    const rates = measured.map(({ rate }) => rate);
    const cpu = [0, 1, 2, 3].map((i) => median(measured.map((m) => m.cpu[i]!)));
    const sum = cpu.reduce((a, b) => a + b, 0);
    return [
      name,
      `${median(rates).toFixed(0)} (${Math.min(...rates).toFixed(0)}..${
        Math.max(...rates).toFixed(0)
      })`,
      ratio(measured),
      `${cpu.map((s) => s.toFixed(2)).join(", ")} = ${sum.toFixed(2)}`,
      median(measured.map(({ downtimeMs }) => downtimeMs)).toFixed(0),
    ];
  }),
]);
if (args.json !== undefined) {
  const rows = [...results].map(([way, measured]) => ({ ...way, measured }));
  const report = { machine: about, rounds, memoryMiB, prealloc: args.prealloc, rows };
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

/** One crossing of a guest of its own. */
async function measure(way: Way): Promise<Measured> {
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  try {
    await using context = new ScenarioContext(dir, AbortSignal.timeout(180_000));
    const place = `${dir}/memory`;
    await Deno.mkdir(place);
    await run("mount", ["-t", "tmpfs", "-o", `size=${memoryMiB + 32}m,mode=0700`, "none", place]);
    context.use({ [Symbol.asyncDispose]: async () => void await run("umount", ["-l", place]) });
    const memory = await filledMemory(`${place}/guest`, memoryMiB, true);
    const prealloc = args.prealloc ? ["-mem-prealloc"] : [];
    const common = { disks: [], memoryMiB };
    const ends: Ends = {
      ...{ context, dir },
      source: await context.qemu({ ...common, name: "source", extra: ["-S", ...memory.source] }),
      destination: await context.qemu({
        ...{ ...common, name: "dest", incoming: true },
        extra: [...memory.destination, ...prealloc],
      }),
    };
    return way.direct ? await directly(ends, way) : await withVmferry(ends, way);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function withVmferry(ends: Ends, { channels, compression }: Way): Promise<Measured> {
  const { context, dir, source, destination } = ends;
  const secret = `${dir}/secret`;
  await Deno.writeTextFile(secret, `${crypto.randomUUID()}\n`, { mode: 0o600 });
  const start = async (name: string, qemu: Qemu, more: readonly string[]) => {
    const runDir = `${dir}/run-${name}`;
    await Deno.mkdir(runDir);
    const own = ["--json", "--run-dir", runDir, "--secret-file", secret, "--qmp", qemu.qmpSocket];
    return context.vmferry({ name, args: [name, ...own, ...more] });
  };
  const receive = await start("receive", destination, ["--listen", "tcp://127.0.0.1:0"]);
  const migrate = await start("migrate", source, [
    ...channels > 0 ? ["--multifd", String(channels)] : [],
    ...compression ? ["--multifd-compression", compression] : [],
    await receive.address(),
  ]);
  const pids = [source.pid, migrate.pid, receive.pid, destination.pid];
  await migrate.waitEvent("phase", (e) => e.phase === "ram");
  const before = pids.map(cpuSeconds);
  await migrate.waitEvent("phase", (e) => e.phase === "handover");
  const after = pids.map(cpuSeconds);
  await assertExit(migrate, 0);
  await assertExit(receive, 0);
  return await measured(source, after.map((cpu, i) => cpu - before[i]!));
}

async function directly(ends: Ends, { channels }: Way): Promise<Measured> {
  const { source, destination, dir } = ends;
  const path = `${dir}/ram.sock`;
  const multifd = channels > 0;
  for (const qemu of [source, destination]) {
    await qemu.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "multifd", state: multifd }],
    });
    if (multifd) await qemu.execute("migrate-set-parameters", { "multifd-channels": channels });
  }
  await source.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 40 });
  await destination.execute("stop");
  await destination.execute("migrate-incoming", { uri: `unix:${path}` });
  const pids = [source.pid, destination.pid];
  const before = pids.map(cpuSeconds);
  await source.execute("migrate", { uri: `unix:${path}` });
  for (const qemu of [source, destination]) {
    await poll(`${qemu.name} to be done`, async () => {
      const { status } = await qemu.execute<{ status: string }>("query-migrate");
      if (status === "failed") throw new Error(`${qemu.name}: the migration failed`);
      return status === "completed" ? true : undefined;
    }, 60_000);
  }
  const [near, far] = pids.map((pid, i) => cpuSeconds(pid) - before[i]!);
  return await measured(source, [near!, 0, 0, far!]);
}

async function measured(source: Qemu, cpu: readonly number[]): Promise<Measured> {
  const info = await source.execute<
    { "total-time": number; downtime: number; ram: { transferred: number } }
  >("query-migrate");
  const { transferred } = info.ram;
  return {
    rate: transferred / 1000 / info["total-time"],
    downtimeMs: info.downtime,
    cpu: cpu.map((seconds) => seconds * 1e9 / transferred),
  };
}
