/**
 * `make bench-downtime`: how long the guest stands still, with vmferry, with nothing between the QEMUs and
 * with two plain relays there, one disk and eight, a guest that does little and one that writes as fast
 * as it can. Run directories are in memory, as /run is.
 *
 *     downtime.ts [--runs N] [--disks N] [--prealloc] [--json FILE]
 *
 * With `--prealloc` the destination's QEMU has its memory before the guest comes (`-mem-prealloc`).
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { migrateDirectly } from "../../tests/scenarios/support/direct_flow.ts";
import { Pair } from "../../tests/scenarios/support/pair.ts";
import { accelerator } from "../../tests/scenarios/support/qemu.ts";
import { assertExit, ScenarioContext } from "../../tests/scenarios/support/scenario.ts";
import { median } from "./ground.ts";
import { describe, machine } from "./machine.ts";
import { relays } from "./relays.ts";
import { table } from "./report.ts";
import { run } from "../run.ts";

const args = parseArgs(Deno.args, { string: ["runs", "disks", "json"], boolean: ["prealloc"] });
const runs = Number(args.runs ?? 10);

/** Microseconds between two writes of the guest. */
const GUESTS = { "idle": 10_000, "write-heavy": 0 } as const;
type GuestKind = keyof typeof GUESTS;

/** ms. */
interface Pauses {
  /** From STOP at the source to RESUME at the destination, by the QEMUs' clocks. */
  readonly pause: number[];
  /** What QEMU says. */
  readonly downtime: number[];
}

/** What is between the QEMUs. */
const WAYS = ["nothing", "socat", "vmferry"] as const;
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
    rows.push({ disks, guest, ways: { nothing: none(), socat: none(), vmferry: none() } });
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
    "pause: nothing",
    "socat",
    "vmferry",
    "ratio",
    "to socat",
    "downtime: nothing",
    "vmferry",
  ],
  ...rows.map(({ disks, guest, ways: { nothing, socat, vmferry } }) => [
    String(disks),
    guest,
    ...[nothing, socat, vmferry].map((way) => spread(way.pause)),
    (median(vmferry.pause) / median(nothing.pause)).toFixed(2),
    (median(vmferry.pause) / median(socat.pause)).toFixed(2),
    ...[nothing, vmferry].map((way) => spread(way.downtime)),
  ]),
]);
if (args.json !== undefined) {
  const report = { machine: about, runs, prealloc: args.prealloc, rows };
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

/** One migration of a guest of its own. */
async function measure(
  disks: number,
  waitUs: number,
  way: Way,
): Promise<{ pause: number; downtime: number }> {
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  try {
    await using context = new ScenarioContext(dir, AbortSignal.timeout(120_000));
    const names = Array.from({ length: disks }, (_, i) => `vd${i}`);
    const pair = await Pair.start(context, {
      disks: names.map(() => ({ from: "raw", to: "raw" })),
      bytes: 16 * 2 ** 20,
      guest: { waitUs },
      destinationExtra: args.prealloc ? ["-mem-prealloc"] : [],
    });
    if (way !== "vmferry") {
      const { source, destination } = pair;
      await migrateDirectly(context, source, destination, names, async (name, path) => {
        if (way === "nothing") return path;
        const sockets = `${dir}/${name}`;
        await Deno.mkdir(sockets);
        const relay = await relays["socat 256K"]!(sockets, path);
        context.use({ [Symbol.asyncDispose]: () => relay.stop() });
        return relay.path;
      });
    } else {
      for (const side of ["source", "dest"] as const) await inMemory(context, pair.runDir(side));
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

/** Puts a folder into memory until the context is over; that takes root. */
async function inMemory(context: ScenarioContext, dir: string): Promise<void> {
  await run("mount", ["-t", "tmpfs", "-o", "size=16m,mode=0700", "none", dir]);
  context.use({ [Symbol.asyncDispose]: async () => void await run("umount", ["-l", dir]) });
}
