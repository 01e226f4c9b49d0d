import { assert, assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import type { MigrationEvent } from "../../../src/migrate/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";
import { IN_KIT } from "../../support/in_kit.ts";
import { MetricsFile } from "../../../src/cli/metrics/metrics_file.ts";

const GUEST = { role: "source", guest: { name: "vm1", uuid: null } } as const;
const PROGRESS: MigrationEvent = {
  ...{ event: "progress", phase: "ram", rate: 7, eta: 1, compression: 0.5 },
  disks: [{ name: "vda", transferred: 30, total: 40, ready: true }],
  ram: {
    ...{ transferred: 100, remaining: 5, total: 64, dirtyRate: 9, iteration: 2 },
    throttlePercent: 25,
  },
};
const RESULT: MigrationEvent = {
  ...{ event: "result", outcome: "migrated", downtimeMs: 30, pauseMs: 80 },
  ...{ totalMs: 60_000, bytes: 130, error: null, next: [] },
};

const WITH_PROMTOOL = {
  name: "promtool finds nothing to say about the metrics file of a migration",
  ignore: IN_KIT,
};
Deno.test(WITH_PROMTOOL, async () => {
  await using dir = await directory();
  const path = `${dir.path}/vm1.prom`;
  {
    await using metrics = await MetricsFile.open(path, { report: () => {}, log: silentLogger });
    metrics.identify(GUEST);
    for (const event of [PROGRESS, RESULT]) metrics.report(event);
  }
  const tool = new URL("../../../tools/promtool.sh", import.meta.url).pathname;
  const found = await new Deno.Command(tool).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert(found.success, text(found.stderr));
  const promtool = new Deno.Command(text(found.stdout).trim(), {
    args: ["check", "metrics"],
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = promtool.stdin.getWriter();
  await writer.write(await Deno.readFile(path));
  await writer.close();
  const { success, stdout, stderr } = await promtool.output();
  assertEquals([success, text(stdout), text(stderr)], [true, "", ""]);
});

Deno.test("the metrics file can be read by others, has the outcome at the end, and nothing lies beside it", async () => {
  await using dir = await directory();
  const path = `${dir.path}/vm1.prom`;
  const reported: string[] = [];
  {
    const report = ({ event }: MigrationEvent) => reported.push(event);
    await using metrics = await MetricsFile.open(path, { report, log: silentLogger });
    assert((await Deno.readTextFile(path)).includes("vmferry_migration_info"));
    metrics.report(PROGRESS);
    metrics.report(RESULT);
  }
  assertEquals(reported, ["progress", "result"]);
  assert((await Deno.readTextFile(path)).includes('role="source"} 1\n'));
  assert(/vmferry_migration_succeeded\{.*\} 1\n/.test(await Deno.readTextFile(path)));
  assertEquals((await Deno.stat(path)).mode! & 0o777, 0o644);
  assertEquals(Array.from(Deno.readDirSync(dir.path), ({ name }) => name), ["vm1.prom"]);
});

Deno.test("a metrics file that cannot be written is refused at the start", async () => {
  await using dir = await directory();
  const path = `${dir.path}/missing/vm1.prom`;
  const opening = () => MetricsFile.open(path, { report: () => {}, log: silentLogger });
  await assertRejects(opening, UsageError, `vmferry cannot write ${path}`);
});

Deno.test("a metrics file that cannot be written any more is one warning, and events still pass", async () => {
  await using dir = await directory();
  await Deno.mkdir(`${dir.path}/there`);
  const events: MigrationEvent[] = [];
  {
    await using metrics = await MetricsFile.open(`${dir.path}/there/vm1.prom`, {
      report: (event) => events.push(event),
      log: silentLogger,
    });
    await Deno.remove(`${dir.path}/there`, { recursive: true });
    for (const phase of ["mirror", "ram", "done"] as const) {
      metrics.report({ event: "phase", phase });
    }
  }
  const warnings = events.filter(({ event }) => event === "warning");
  assertEquals([events.length, warnings.length], [4, 1]);
  assert(warnings[0]!.event === "warning" && warnings[0]!.code === "metrics");
});

async function directory() {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
