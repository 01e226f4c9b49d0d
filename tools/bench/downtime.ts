/**
 * `make bench-downtime`: the downtime with vmferry, with nothing between the QEMUs (and QEMU's own
 * downtime limit of 300 ms, or vmferry's initial 10 ms) and with two plain relays between them, for one
 * disk and eight. One guest does little and one writes as fast as it can, both with RAM that is nearly all
 * zero; a third does little and has RAM in use. Run directories are on a tmpfs, as /run is.
 *
 *     downtime.ts [--runs N] [--disks N] [--memory MIB] [--prealloc] [--json FILE]
 *
 * The guest has 128 MiB of RAM, or the size that `--memory` gives.
 * With `--prealloc` the destination's QEMU allocates its RAM before the guest arrives (`-mem-prealloc`).
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { migrateDirectly } from "../../tests/scenarios/pair/direct_flow.ts";
import { filledMemory, type MemoryArguments } from "../../tests/scenarios/pair/filled_memory.ts";
import { Pair } from "../../tests/scenarios/pair/pair.ts";
import { accelerator } from "../../tests/scenarios/support/qemu.ts";
import { assertExit, ScenarioContext } from "../../tests/scenarios/support/scenario.ts";
import { median } from "./ground.ts";
import { describe, machine } from "./machine.ts";
import { relays } from "./relays/relays.ts";
import { table } from "./report.ts";
import { run } from "../run.ts";

const args = parseArgs(Deno.args, {
  string: ["runs", "disks", "memory", "json"],
  boolean: ["prealloc"],
});
const runs = Number(args.runs ?? 10);
const memoryMiB = Number(args.memory ?? 128);

interface Guest {
  /** Microseconds between two writes of the guest. */
  readonly waitUs: number;
  /** Its memory is full of something. */
  readonly memoryInUse?: boolean;
}

const GUESTS = {
  "idle": { waitUs: 10_000 },
  "write-heavy": { waitUs: 0 },
  "memory in use": { waitUs: 10_000, memoryInUse: true },
} as const satisfies Record<string, Guest>;
type GuestKind = keyof typeof GUESTS;

/** ms. */
interface Pauses {
  /** From STOP at the source to RESUME at the destination, by the QEMUs' clocks. */
  readonly pause: number[];
  /** What QEMU says. */
  readonly downtime: number[];
}

/** What is between the QEMUs. */
const WAYS = ["nothing", "nothing, 10 ms", "socat", "vmferry"] as const;
type Way = (typeof WAYS)[number];

interface Row {
  readonly disks: number;
  readonly guest: GuestKind;
  readonly ways: Readonly<Record<Way, Pauses>>;
}

const about = await machine();
console.log(`${describe(about)}; ${accelerator()}`);
const rows: Row[] = [];
for (const disks of args.disks === undefined ? [1, 8] : [Number(args.disks)]) {
  for (const guest of Object.keys(GUESTS) as GuestKind[]) {
    const none = (): Pauses => ({ pause: [], downtime: [] });
    const ways = {
      "nothing": none(),
      "nothing, 10 ms": none(),
      "socat": none(),
      "vmferry": none(),
    };
    rows.push({ disks, guest, ways });
  }
}
for (let run = 0; run < runs; run++) {
  for (const row of rows) {
    for (const way of WAYS) {
      const { pause, downtime } = await measure(row.disks, GUESTS[row.guest], way);
      row.ways[way].pause.push(pause);
      row.ways[way].downtime.push(downtime);
    }
  }
  console.error(`run ${run + 1} of ${runs}`);
}

console.log("\nms, median (least..most): pause from STOP to RESUME, downtime as QEMU tells it\n");
const spread = (values: readonly number[]) =>
  `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)}..${
    Math.max(...values).toFixed(1)
  })`;
table([
  [
    "disks",
    "guest",
    ...WAYS.map((way) => `pause: ${way}`),
    "to nothing",
    "to nothing, 10 ms",
    "to socat",
    "downtime: nothing",
    "vmferry",
  ],
  ...rows.map(({ disks, guest, ways }) => [
    String(disks),
    guest,
    ...WAYS.map((way) => spread(ways[way].pause)),
    ...(["nothing", "nothing, 10 ms", "socat"] as const).map((way) =>
      (median(ways.vmferry.pause) / median(ways[way].pause)).toFixed(2)
    ),
    ...[ways.nothing, ways.vmferry].map((way) => spread(way.downtime)),
  ]),
]);
if (args.json !== undefined) {
  const report = { machine: about, runs, memoryMiB, prealloc: args.prealloc, rows };
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

/** One migration of a guest of its own. */
async function measure(
  disks: number,
  { waitUs, memoryInUse }: Guest,
  way: Way,
): Promise<{ pause: number; downtime: number }> {
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  try {
    await using context = new ScenarioContext(dir, AbortSignal.timeout(120_000));
    const names = Array.from({ length: disks }, (_, i) => `vd${i}`);
    const memory = memoryInUse ? await inUse(context, dir) : undefined;
    const prealloc = args.prealloc ? ["-mem-prealloc"] : [];
    const pair = await Pair.start(context, {
      disks: names.map(() => ({ from: "raw", to: "raw" })),
      memoryMiB,
      bytes: 16 * 2 ** 20,
      guest: { waitUs },
      sourceExtra: memory?.source ?? [],
      destinationExtra: [...memory?.destination ?? [], ...prealloc],
    });
    if (way !== "vmferry") {
      const { source, destination } = pair;
      const through = async (name: string, path: string) => {
        if (way !== "socat") return path;
        const sockets = `${dir}/${name}`;
        await Deno.mkdir(sockets);
        const relay = await relays["socat 256K"]!(sockets, path);
        context.use({ [Symbol.asyncDispose]: () => relay.stop() });
        return relay.path;
      };
      const downtimeLimitMs = way === "nothing, 10 ms" ? 10 : 300;
      await migrateDirectly(context, source, destination, names, { through, downtimeLimitMs });
    } else {
      for (const side of ["source", "dest"] as const) {
        await inMemory(context, pair.runDir(side), "16m");
      }
      const receive = pair.receive();
      const migrate = pair.migrate(await receive.address());
      await assertExit(migrate, 0);
      await assertExit(receive, 0);
    }
    const { downtime } = await pair.source.execute<{ downtime: number }>("query-migrate");
    return { pause: await pair.pauseMs(), downtime };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function inUse(context: ScenarioContext, dir: string): Promise<MemoryArguments> {
  const place = `${dir}/memory`;
  await Deno.mkdir(place);
  await inMemory(context, place, `${memoryMiB + 32}m`);
  return await filledMemory(`${place}/guest`, memoryMiB);
}

/** Mounts a tmpfs on a directory until the context ends; needs root. */
async function inMemory(context: ScenarioContext, dir: string, size: string): Promise<void> {
  await run("mount", ["-t", "tmpfs", "-o", `size=${size},mode=0700`, "none", dir]);
  context.use({ [Symbol.asyncDispose]: async () => void await run("umount", ["-l", dir]) });
}
