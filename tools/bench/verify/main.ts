/**
 * How fast `--verify` compares, and what it adds to the guest's pause, in interleaved rounds with and without it.
 *
 *     main.ts [--mib 1024] [--rounds 3] [--json FILE]
 *
 * The disk has MIB of random data, the guest does not write to it. Each round is a whole `migrate` on one host with
 * QEMUs of its own. Both ends hash on the same processor.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { ScenarioContext } from "../../../tests/scenarios/support/scenario.ts";
import { makeDirectories, median } from "../ground.ts";
import { describe, machine } from "../machine.ts";
import { cpuSeconds } from "../processes.ts";
import { table } from "../report.ts";

const MIB = 1 << 20;
const args = parseArgs(Deno.args, { string: ["mib", "rounds", "json"] });
const bytes = Number(args.mib ?? 1024) * MIB;
const rounds = Number(args.rounds ?? 3);

interface Result {
  readonly totalMs: number;
  readonly pauseMs: number;
  /** Of the comparison; 0 without. */
  readonly seconds: number;
  /** CPU of vmferry and QEMU at the source and at the destination meanwhile, s. */
  readonly cpu: readonly [number, number];
}

const about = await machine();
console.log(describe(about));
const results = new Map<string, Result[]>();
{
  await using directories = await makeDirectories();
  const { data } = directories;
  await fill(`${data}/here`);
  for (let round = 0; round < rounds; round++) {
    for (const flags of [[], ["--verify"]]) {
      const name = flags[0] ?? "without";
      const result = await measure(data, flags);
      results.set(name, [...results.get(name) ?? [], result]);
      console.error(`${name}: ${JSON.stringify(result)}`);
    }
  }
}
console.log(`\n${bytes / MIB} MiB, median of ${rounds} rounds\n`);
table([
  ["", "s", "pause, ms", "compared in, s", "GB/s a side", "CPU, s/GB"],
  ...[...results].map(([name, each]) => {
    const seconds = median(each.map((result) => result.seconds));
    return [
      name,
      (median(each.map(({ totalMs }) => totalMs)) / 1000).toFixed(2),
      median(each.map(({ pauseMs }) => pauseMs)).toFixed(0),
      seconds === 0 ? "" : seconds.toFixed(2),
      seconds === 0 ? "" : (bytes / seconds / 1e9).toFixed(2),
      seconds === 0 ? "" : [0, 1].map((side) => {
        return (median(each.map(({ cpu }) => cpu[side]!)) / bytes * 1e9).toFixed(2);
      }).join(" + "),
    ];
  }),
]);
if (args.json !== undefined) {
  const report = { machine: about, bytes, results: Object.fromEntries(results) };
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

/** One migration with QEMUs of its own. */
async function measure(data: string, flags: readonly string[]): Promise<Result> {
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  try {
    await using context = new ScenarioContext(dir, AbortSignal.timeout(300_000));
    const there = `${data}/there`;
    await Deno.writeFile(there, new Uint8Array());
    await Deno.truncate(there, bytes);
    const end = (path: string) => ({
      ...{ dir, memoryMiB: 32, cpus: 1 },
      disks: [{ id: "vd0", image: { path, format: "raw" } as const }],
    });
    const source = await context.qemu({ ...end(`${data}/here`), name: "source" });
    const destination = await context.qemu({ ...end(there), name: "dest", incoming: true });
    const receive = context.vmferry({
      name: "receive",
      args: ["receive", "--json", "--qmp", destination.qmpSocket, "--listen", "tcp://127.0.0.1:0"],
    });
    const migrate = context.vmferry({
      name: "migrate",
      args: [
        ...["migrate", "--json", "--qmp", source.qmpSocket, ...flags],
        await receive.address(),
      ],
    });
    const used = () =>
      [
        cpuSeconds(migrate.pid) + cpuSeconds(source.pid),
        cpuSeconds(receive.pid) + cpuSeconds(destination.pid),
      ] as const;
    let cpu: readonly [number, number] = [0, 0];
    if (flags.length > 0) {
      await migrate.waitEvent("phase", (e) => e.phase === "verify", 200_000);
      const before = used();
      await migrate.waitEvent("phase", (e) => e.phase === "ram", 200_000);
      const after = used();
      cpu = [after[0] - before[0], after[1] - before[1]];
    }
    const code = await migrate.exit(280_000);
    const ended = await migrate.waitEvent("result") as unknown as {
      readonly totalMs: number;
      readonly pauseMs: number;
      readonly verify?: readonly { readonly seconds: number; readonly unproved: number }[];
    };
    const [verified] = ended.verify ?? [];
    if (code !== 0 || verified && verified.unproved > 0) {
      throw new Error(`migrate ended with ${code}: ${JSON.stringify(ended)}`);
    }
    const { totalMs, pauseMs } = ended;
    return { totalMs, pauseMs, seconds: verified?.seconds ?? 0, cpu };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const piece = new Uint8Array(MIB);
  for (let at = 0; at < bytes; at += MIB) {
    for (let i = 0; i < MIB; i += 65536) crypto.getRandomValues(piece.subarray(i, i + 65536));
    await file.write(piece);
  }
}
