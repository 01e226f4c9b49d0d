import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type LogLevel, silentLogger } from "../../../src/io/mod.ts";
import type { MigrationEvent } from "../../../src/migrate/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";
import { RunFiles } from "../../../src/cli/report/run_files.ts";

const RESULT: MigrationEvent = {
  ...{ event: "result", outcome: "cancelled", downtimeMs: null, pauseMs: null, totalMs: 1 },
  ...{ bytes: 1, next: [], error: { code: "cancelled", message: "By you", side: "source" } },
};

/** A directory of its own, and what runs with a report in it reported. */
async function directory() {
  const path = await Deno.makeTempDir();
  const reported: MigrationEvent[] = [];
  const logged: string[] = [];
  const output = {
    report: (event: MigrationEvent) => void reported.push(event),
    log: { debugEnabled: false, log: (_: LogLevel, text: string) => void logged.push(text) },
  };
  return {
    ...{ path, reported, logged },
    open: (report: string) => RunFiles.open({ report }, output, "source"),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("a report is for its owner alone, says how a cancelled run ended, and nothing lies beside it", async () => {
  await using dir = await directory();
  const path = `${dir.path}/vm1.html`;
  {
    await using files = await dir.open(path);
    files.history.note({ event: "phase", phase: "mirror" });
    files.history.note(RESULT);
  }
  const { mode } = await Deno.stat(path);
  assertEquals(mode! & 0o777, 0o600);
  assertStringIncludes(await Deno.readTextFile(path), "Cancelled: the guest was not moved.");
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["vm1.html"]);
});

Deno.test("a command that cannot begin leaves an older report as it is", async () => {
  await using dir = await directory();
  const path = `${dir.path}/vm1.html`;
  await Deno.writeTextFile(path, "older");
  {
    await using files = await dir.open(path);
    files.history.note({ event: "warning", code: "not-encrypted", message: "x" });
  }
  assertEquals(await Deno.readTextFile(path), "older");
});

Deno.test("a report that cannot be written is refused before anything begins", async () => {
  await using dir = await directory();
  const missing = `${dir.path}/none/vm1.html`;
  await assertRejects(
    () => dir.open(missing),
    UsageError,
    `--report: vmferry cannot write ${missing}`,
  );
  const place = `${dir.path}/place.html`;
  await Deno.mkdir(place);
  await assertRejects(() => dir.open(place), UsageError, "something that is no file");
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["place.html"]);
});

Deno.test("a report that cannot be written any more is one warning, and the run goes on", async () => {
  await using dir = await directory();
  await Deno.mkdir(`${dir.path}/a`);
  {
    await using files = await dir.open(`${dir.path}/a/vm1.html`);
    await Deno.remove(`${dir.path}/a`);
    files.history.note({ event: "traffic", bytes: 1, rttMs: null });
  }
  const warnings = dir.reported.filter((event) => event.event === "warning");
  assertEquals(warnings.map(({ code }) => code), ["report"]);
  assert(warnings[0]!.message.includes("cannot write"));
});

Deno.test("a report that cannot be written at the end is logged, since the result is the last event", async () => {
  await using dir = await directory();
  await Deno.mkdir(`${dir.path}/a`);
  {
    await using files = await dir.open(`${dir.path}/a/vm1.html`);
    await Deno.remove(`${dir.path}/a`);
    files.history.note(RESULT);
    files.history.note(RESULT);
  }
  assertEquals(dir.reported, []);
  assertEquals(dir.logged.length, 1);
  assertStringIncludes(dir.logged[0]!, "cannot write");
});

Deno.test("without --report nothing is written, and the history is kept for status", async () => {
  await using dir = await directory();
  const output = { report: () => {}, log: silentLogger };
  await using files = await RunFiles.open({}, output, "source");
  files.history.note(RESULT);
  assertEquals(files.history.data().result, RESULT);
  assertEquals([...Deno.readDirSync(dir.path)], []);
});
