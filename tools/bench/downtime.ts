/**
 * `make bench-downtime`: how long the guest stands still, with vmferry and with nothing between the
 * QEMUs, one disk and eight, a guest that does little and one that writes as fast as it can.
 *
 *     downtime.ts [--runs N] [--json FILE]
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
import { table } from "./report.ts";

const args = parseArgs(Deno.args, { string: ["runs", "json"] });
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

interface Row {
  readonly disks: number;
  readonly guest: GuestKind;
  readonly without: Pauses;
  readonly with: Pauses;
}

const about = await machine();
console.log(`${describe(about)}; ${accelerator()}`);
const rows: Row[] = [];
for (const disks of [1, 8]) {
  for (const guest of Object.keys(GUESTS) as GuestKind[]) {
    const nothing = (): Pauses => ({ pause: [], downtime: [] });
    rows.push({ disks, guest, without: nothing(), with: nothing() });
  }
}
for (let run = 0; run < runs; run++) {
  for (const row of rows) {
    for (const way of ["without", "with"] as const) {
      const { pause, downtime } = await measure(row.disks, GUESTS[row.guest], way);
      row[way].pause.push(pause);
      row[way].downtime.push(downtime);
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
  ["disks", "guest", "pause without", "pause with", "ratio", "downtime without", "downtime with"],
  ...rows.map((row) => [
    String(row.disks),
    row.guest,
    spread(row.without.pause),
    spread(row.with.pause),
    (median(row.with.pause) / median(row.without.pause)).toFixed(2),
    spread(row.without.downtime),
    spread(row.with.downtime),
  ]),
]);
if (args.json !== undefined) {
  const report = { machine: about, runs, rows };
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

/** One migration of a guest of its own. */
async function measure(
  disks: number,
  waitUs: number,
  way: "without" | "with",
): Promise<{ pause: number; downtime: number }> {
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  try {
    await using context = new ScenarioContext(dir, AbortSignal.timeout(120_000));
    const names = Array.from({ length: disks }, (_, i) => `vd${i}`);
    const pair = await Pair.start(context, {
      disks: names.map(() => ({ from: "raw", to: "raw" })),
      bytes: 16 * 2 ** 20,
      guest: { waitUs },
    });
    if (way === "without") {
      await migrateDirectly(context, pair.source, pair.destination, names);
    } else {
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
