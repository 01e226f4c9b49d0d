import { assert, assertEquals } from "@std/assert";
import { Metrics } from "../../../src/cli/metrics/metrics.ts";

const GUEST = { name: 'a "b"\\', uuid: null };

Deno.test("each metric has its help and type before its samples, and labels are escaped", () => {
  const metrics = new Metrics(() => 1000);
  metrics.identify({ role: "source", guest: GUEST });
  const lines = metrics.text().split("\n");
  assertEquals(lines.pop(), "");
  const described = new Set<string>();
  for (const line of lines) {
    const [, what, named] = /^# (HELP|TYPE) (\S+) \S/.exec(line) ?? [];
    if (what === "TYPE") described.add(named!);
    if (line.startsWith("#")) continue;
    const [, name] = /^([a-z_]+)\{guest="a \\"b\\"\\\\",uuid="",role="source"/.exec(line) ?? [];
    assert(name !== undefined && described.has(name), line);
  }
});

Deno.test("what is not known has no sample", () => {
  const metrics = new Metrics(() => 1000);
  const text = metrics.text();
  for (const name of ["memory_total_bytes", "data_total_bytes", "succeeded", "end_time_seconds"]) {
    assert(!text.includes(name), name);
  }
});

Deno.test("disks, RAM, lost connections and the outcome are samples", () => {
  let now = 1000;
  const metrics = new Metrics(() => now);
  metrics.identify({ role: "destination", guest: { name: "vm1", uuid: "u" } });
  metrics.note({ event: "phase", phase: "ram" });
  metrics.note({
    ...{ event: "progress", phase: "ram", rate: 7, eta: null },
    disks: [{ name: "vda", transferred: 30, total: 40, ready: true }],
    ram: {
      ...{ transferred: 100, remaining: 5, total: 64, dirtyRate: 9, iteration: 2 },
      throttlePercent: 25,
    },
  });
  // One loss, three attempts.
  for (const attempt of [0, 1, 2]) {
    metrics.note({ event: "link", state: "down", attempt, graceLeft: 9 });
  }
  metrics.note({ event: "link", state: "up", attempt: 2, graceLeft: null });
  now = 1060;
  metrics.note({
    ...{ event: "result", outcome: "migrated", downtimeMs: 30, pauseMs: 80 },
    ...{ totalMs: 60_000, bytes: 130, error: null, next: [] },
  });
  const value = (name: string, labels = "") => {
    const begin = `vmferry_migration_${name}{guest="vm1",uuid="u",role="destination"${labels}} `;
    return metrics.text().split("\n").find((line) => line.startsWith(begin))?.slice(begin.length);
  };
  assertEquals([value("phase", ',phase="ram"'), value("phase", ',phase="mirror"')], ["1", "0"]);
  assertEquals(
    ["data_total_bytes", "data_processed_bytes", "data_remaining_bytes"].map((n) => value(n)),
    ["104", "130", "15"],
  );
  assertEquals(value("disk_processed_bytes", ',disk="vda"'), "30");
  assertEquals([value("throttle_ratio"), value("dirty_memory_rate_bytes")], ["0.25", "9"]);
  assertEquals([value("connection_losses_total"), value("connection_up")], ["1", "1"]);
  assertEquals([value("succeeded"), value("failed")], ["1", "0"]);
  assertEquals([value("start_time_seconds"), value("end_time_seconds")], ["1000", "1060"]);
  assertEquals([value("downtime_seconds"), value("pause_seconds")], ["0.03", "0.08"]);
  assertEquals(value("transfer_rate_bytes"), "0");
});
