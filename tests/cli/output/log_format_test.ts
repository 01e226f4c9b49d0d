import { assertEquals } from "@std/assert";
import { formatLine, levelOf } from "../../../src/cli/output/log_format.ts";
import { Output } from "../../../src/cli/output/output.ts";

const time = new Date("2026-11-28T20:00:00Z");

function outputTo(options: { json?: boolean; logFormat: "json" | "journald"; verbose?: boolean }) {
  const texts = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write(bytes: Uint8Array) {
      texts[name] += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
    isTerminal: () => true,
  });
  const output = new Output({ json: false, quiet: false, verbose: false, ...options }, {
    ...{ stdout: sink("stdout"), stderr: sink("stderr") },
    ...{ term: () => "xterm", columns: () => 80 },
  });
  return { output, texts };
}

Deno.test("journald reads the priority of a line, which is one line and ends with the migration", () => {
  const line = { level: "warning", message: "one\n  two", migration: "m1", time } as const;
  assertEquals(formatLine("journald", line), "<4>one; two [migration m1]");
});

Deno.test("a line of JSON has time, level, message, migration and the event", () => {
  const event = { event: "phase", phase: "ram" } as const;
  const line = { level: "info", message: "m", migration: "m1", event, time } as const;
  assertEquals(JSON.parse(formatLine("json", line)), {
    time: "2026-11-28T20:00:00.000Z",
    ...{ level: "info", message: "m", migration: "m1", event },
  });
});

Deno.test("no log format holds a ticket", async () => {
  const event = { event: "listening", address: "vmferry://host:1/SECRET", reusable: true } as const;
  for (const format of ["json", "journald"] as const) {
    const { output, texts } = outputTo({ logFormat: format });
    output.report(event);
    await output.close();
    assertEquals([texts.stderr.includes("host:1"), texts.stderr.includes("SECRET")], [true, false]);
    const line = { level: "info", message: "m", migration: undefined, event, time } as const;
    assertEquals(formatLine(format, line).includes("SECRET"), false);
  }
});

Deno.test("warnings, lost connections and failures have levels of their own", () => {
  const result = {
    event: "result",
    downtimeMs: null,
    pauseMs: null,
    totalMs: 1,
    bytes: 1,
  } as const;
  const error = { code: "cancelled", message: "m", side: "source" } as const;
  assertEquals(
    [
      levelOf({ event: "warning", code: "storage", message: "m" }),
      levelOf({ event: "link", state: "down", attempt: 0, graceLeft: 9 }),
      levelOf({ event: "link", state: "up", attempt: 1, graceLeft: null }),
      levelOf({ ...result, outcome: "failed", error, next: [] }),
      levelOf({ ...result, outcome: "migrated", error: null, next: [] }),
    ],
    ["warning", "warning", "info", "error", "info"],
  );
});

Deno.test("as a log, events and diagnostics are lines of JSON without bars, and name the migration once it is known", async () => {
  const { output, texts } = outputTo({ logFormat: "json", verbose: true });
  output.log.log("debug", "early");
  output.report({ event: "migration", migration: "m1" });
  output.report({ event: "phase", phase: "mirror" });
  output.report({ event: "progress", phase: "mirror", disks: [], ram: null, rate: 1, eta: null });
  output.line("vmferry: plain");
  await output.close();
  const lines = texts.stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(
    lines.map(({ level, message, migration, event }) => [level, message, migration, event?.event]),
    [
      ["debug", "early", undefined, undefined],
      ["info", "copying disks", "m1", "phase"],
      ["info", "1 B/s", "m1", "progress"],
      ["info", "plain", "m1", undefined],
    ],
  );
});

Deno.test("events of --json name the migration once it is known", async () => {
  const { output, texts } = outputTo({ logFormat: "json", json: true });
  output.report({ event: "phase", phase: "prepare" });
  output.report({ event: "migration", migration: "m1" });
  output.report({ event: "phase", phase: "mirror" });
  await output.close();
  const lines = texts.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ event, migration }) => [event, migration]), [
    ["phase", undefined],
    ["migration", "m1"],
    ["phase", "m1"],
  ]);
  assertEquals(texts.stderr, "");
});
