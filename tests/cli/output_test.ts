import { assert, assertEquals } from "@std/assert";
import { barLines } from "../../src/cli/output/bars.ts";
import { LineWriter } from "../../src/cli/output/line_writer.ts";
import { lineOf } from "../../src/cli/output/lines.ts";
import { Output } from "../../src/cli/output/output.ts";
import { exitCodeOf, resultEvent } from "../../src/cli/output/result.ts";
import { statusLines } from "../../src/cli/output/status_lines.ts";
import { type ErrorCode, MigrationError } from "../../src/migrate/mod.ts";
import { settle } from "../support/manual_clock.ts";

const disk = (name: string, transferred: number) => ({
  ...{ name, transferred, total: 1000, ready: transferred === 1000 },
});
const progress = (disks: number) => ({
  event: "progress" as const,
  phase: "mirror" as const,
  disks: Array.from({ length: disks }, (_, i) => disk(`disk-with-a-long-name-${i}`, i * 25)),
  ram: { transferred: 1, remaining: 2048, total: 4096, dirtyRate: 0, iteration: 3 },
  rate: 1024 ** 2,
  eta: 61,
});

/** An output to a terminal of this kind, with all that was written there. */
function outputTo(
  terminal: { term?: string; isTerminal?: boolean; columns?: number },
  options: { json?: boolean; quiet?: boolean } = {},
) {
  let text = "";
  const write = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
    return Promise.resolve(bytes.length);
  };
  const { term, isTerminal = true, columns = 80 } = terminal;
  const output = new Output({ json: false, quiet: false, verbose: false, ...options }, {
    ...{ stdout: { write }, stderr: { write, isTerminal: () => isTerminal } },
    ...{ term: () => term, columns: () => columns },
  });
  return { output, written: () => text };
}

Deno.test("no bar is wider than the terminal, however many disks there are", () => {
  for (const disks of [0, 1, 16, 40]) {
    for (const width of [1, 19, 40, 79, 200]) {
      for (const line of barLines(progress(disks), width)) assert(line.length <= width, line);
    }
  }
  assertEquals(barLines(progress(40), 100).length, 16 + 1 + 1 + 1);
});

Deno.test("on a terminal that is narrow no line is wider than it, so that what was drawn is found again", async () => {
  for (const width of [1, 2, 10, 20, 39]) {
    const { output, written } = outputTo({ columns: width });
    output.report(progress(2));
    output.report(progress(2));
    await output.close();
    const [first, again] = written().split("\x1b[4A\x1b[J");
    assertEquals(first, again);
    for (const line of first!.split("\n")) assert(line.length < Math.max(2, width), line);
  }
});

Deno.test("bars are for a terminal that moves its cursor, plain lines for every other", async () => {
  const drawn = async (terminal: { term?: string; isTerminal?: boolean }) => {
    const { output, written } = outputTo(terminal);
    output.report(progress(1));
    output.report(progress(1));
    await output.close();
    return written().includes("\x1b[");
  };
  assertEquals(await drawn({ term: "xterm" }), true);
  assertEquals(await drawn({}), true);
  assertEquals(await drawn({ term: "dumb" }), false);
  assertEquals(await drawn({ isTerminal: false }), false);
});

Deno.test("--quiet leaves progress out, for people and for programs", async () => {
  for (const json of [true, false]) {
    for (const quiet of [true, false]) {
      const { output, written } = outputTo({ isTerminal: false }, { json, quiet });
      output.report(progress(1));
      output.report({ event: "warning", code: "storage", message: "y" });
      await output.close();
      assertEquals(written().split("\n").length - 1, quiet ? 1 : 2, `${json} ${quiet}`);
    }
  }
});

Deno.test("a result has its figures, a failure its cause, its side and the guest's place", () => {
  const result = {
    ...{ event: "result" as const, outcome: "migrated" as const, downtimeMs: 20.4 },
    ...{ pauseMs: 25, totalMs: 1234, bytes: 2 ** 20, error: null, next: [] },
  };
  assertEquals(
    lineOf(result, true),
    "vmferry: the guest runs at the destination: 1.00 MiB in 1.2 s, downtime 20 ms, guest paused " +
      "for 25 ms",
  );
  const error = {
    code: "disk-full" as const,
    message: "No space left on device",
    side: "destination" as const,
  };
  assertEquals(
    lineOf({ ...result, outcome: "failed", error }, true),
    "vmferry: destination: No space left on device\nvmferry: the guest was not moved",
  );
  const several = { ...error, message: "a; b", problems: ["a", "b"] };
  assertEquals(
    lineOf({ ...result, outcome: "failed", error: several }, true),
    "vmferry: destination: a\nvmferry: destination: b\nvmferry: the guest was not moved",
  );
  assertEquals(lineOf(progress(1), true), undefined);
});

Deno.test("a guest that has arrived is reported as it stands there, not always as running", () => {
  const result = {
    ...{ event: "result" as const, outcome: "migrated" as const, downtimeMs: null, pauseMs: null },
    ...{ totalMs: 1000, bytes: 0, error: null },
  };
  const line = (guest: string | null) => {
    const event = resultEvent({ startedAt: 0, bytes: 0, guest });
    assert(event.event === "result");
    return lineOf({ ...result, guest, next: event.next }, true)!.split("\n");
  };
  const [said, ...next] = line("paused");
  assertEquals(said, "vmferry: the guest is at the destination, paused: 0 B in 1.0 s");
  assertEquals([next.length, /'announce-self'/.test(next[0]!)], [1, true]);
  for (
    const [guest, words] of [
      ["suspended", "the guest is at the destination, asleep (S3)"],
      ["io-error", 'the guest is at the destination, in state "io-error"'],
      ["running", "the guest runs at the destination"],
      [null, "the guest runs at the destination"],
    ] as const
  ) assertEquals(line(guest), [`vmferry: ${words}: 0 B in 1.0 s`]);
});

Deno.test("a check that fails does not speak of a guest that was not moved", () => {
  const error = new MigrationError("refused", "qmp-unreachable", "source", "QMP: No such file");
  const event = resultEvent({ startedAt: 0, bytes: 0, error, check: true });
  assertEquals(lineOf(event, false), "vmferry: source: QMP: No such file");
});

Deno.test("a disk is shown with its own size, however much the guest has changed since", () => {
  const GiB = 2 ** 30;
  const one = { name: "vd0", transferred: 2.67 * GiB, total: 2.84 * GiB, ready: false };
  const disks = [{ ...one, sizeBytes: 2 * GiB }];
  assertEquals(barLines({ ...progress(0), disks }, 100)[0]?.endsWith("94 %  2.00 GiB"), true);
  const status = { disks, ram: null, phase: "mirror", link: { state: "up" }, warnings: [] };
  const text = statusLines({ ...status, guest: {}, ending: null, eta: null } as never);
  assertEquals(/94 % of 2\.00 GiB/.test(text), true, text);
});

Deno.test("a check says what QEMU was looked at as, which may not be what was meant", () => {
  const found = { event: "check" as const, disks: [], warnings: [], notes: [], differences: [] };
  const problem = (message: string) => ({ side: "destination" as const, message });
  const lines = (role: "source" | "destination", ...problems: string[]) =>
    lineOf({ ...found, role, problems: problems.map(problem) }, false)?.split("\n");
  assertEquals(lines("source"), ["vmferry: as a source: nothing stands in the way"]);
  assertEquals(lines("destination"), ["vmferry: as a destination: nothing stands in the way"]);
  assertEquals(lines("destination", "a"), [
    "vmferry: destination: a",
    "vmferry: as a destination: 1 thing stands in the way",
  ]);
  assertEquals(
    lines("source", "a", "b")?.at(-1),
    "vmferry: as a source: 2 things stand in the way",
  );
});

Deno.test("a check names each end with its role and its QEMU's version", () => {
  const ends = [
    { side: "source" as const, qemuVersion: "7.2.22" },
    { side: "destination" as const, qemuVersion: "10.0.13" },
  ];
  const found = {
    ...{ event: "check" as const, role: "source" as const, disks: [], problems: [] },
    ...{ warnings: [], notes: [], differences: [] },
  };
  assertEquals(
    lineOf({ ...found, ends }, false),
    "vmferry: source QEMU 7.2.22, destination QEMU 10.0.13: nothing stands in the way",
  );
  assertEquals(
    lineOf({ ...found, ends: ends.slice(0, 1) }, false),
    "vmferry: as a source, QEMU 7.2.22, alone (name a DESTINATION to check that end too): " +
      "nothing stands in the way",
  );
});

Deno.test("a lost connection is reported with the time that remains, also with --quiet", () => {
  const link = { event: "link" as const, attempt: 3 };
  for (const quiet of [true, false]) {
    assertEquals(
      [
        lineOf({ ...link, state: "down", graceLeft: 42 }, quiet),
        lineOf({ ...link, state: "up", graceLeft: null }, quiet),
      ],
      ["vmferry: connection lost, reconnecting, 42 s left", "vmferry: connection is back"],
    );
    const lost = { state: "down" as const, graceLeft: 42, connections: { down: 1, of: 4 } };
    const back = { state: "up" as const, graceLeft: null, connections: { down: 0, of: 4 } };
    assertEquals(
      [lineOf({ ...link, ...lost }, quiet), lineOf({ ...link, ...back }, quiet)],
      [
        "vmferry: 1 of 4 connections lost, reconnecting, 42 s left",
        "vmferry: all 4 connections are back",
      ],
    );
  }
});

Deno.test("exit codes follow the kind of the failure", () => {
  const code = (kind: "refused" | "failed" | "cancelled" | "unknown") =>
    exitCodeOf(new MigrationError(kind, "failed", "source", "y"));
  assertEquals([code("failed"), code("refused"), code("unknown"), code("cancelled")], [1, 3, 4, 5]);
});

Deno.test("once RAM had begun to cross, the advice is to start the destination's QEMU again, unless it may run the guest", () => {
  const next = (
    kind: "failed" | "cancelled" | "unknown",
    code: ErrorCode,
    memoryBegan: boolean,
  ) => {
    const error = new MigrationError(kind, code, "destination", "x");
    const event = resultEvent({ startedAt: 0, bytes: 0, memoryBegan, error });
    assert(event.event === "result");
    return event.next;
  };
  const isAnew = (step: string) => /again with -incoming defer/.test(step);
  for (const [kind, code] of [["cancelled", "cancelled"], ["failed", "disk-full"]] as const) {
    const before = next(kind, code, false);
    assertEquals(before.filter(isAnew), []);
    const after = next(kind, code, true);
    assertEquals([after.length, after.filter(isAnew).length], [before.length + 2, 1]);
  }
  assertEquals(next("failed", "ram-failed", true).filter(isAnew).length, 1, "it says so once");
  assertEquals(next("unknown", "lost", true), []);
});

Deno.test("a slow reader misses progress and nothing else, in order", async () => {
  const written: string[] = [];
  const gates: (() => void)[] = [];
  const begun = Promise.withResolvers<void>();
  const writer = new LineWriter({
    write: (bytes) => {
      begun.resolve();
      written.push(new TextDecoder().decode(bytes));
      return new Promise((resolve) => gates.push(() => resolve(bytes.length)));
    },
  });
  writer.write("one\n");
  await Promise.resolve();
  assertEquals(written, [], "the caller goes on before anything is written");
  await begun.promise;
  writer.write("progress\n", true);
  writer.write("two\n");
  gates[0]!();
  await settle();
  gates[1]!();
  await writer.flush();
  assertEquals(written, ["one\n", "two\n"]);
});

Deno.test("a closed output is written to once: later lines are dropped and nothing is thrown", async () => {
  let writes = 0;
  const write = () => {
    writes++;
    return Promise.reject(new Error("Broken pipe"));
  };
  const writer = new LineWriter({ write });
  writer.write("one\n");
  await writer.flush();
  assertEquals(writes, 1);
  writer.write("two\n");
  await writer.flush();
  assertEquals(writes, 1);
});

Deno.test("text of QEMU or the peer cannot add a line or move the cursor", () => {
  const said =
    "x\x1b[2J\x1b]52;c;AAAA\x07\u009b2J\u202e\nvmferry: the guest runs at the destination";
  const harmless = "x?[2J?]52;c;AAAA??2J??vmferry: the guest runs at the destination";
  const error = { code: "disk-full" as const, message: said, side: "source" as const };
  const result = {
    ...{ event: "result" as const, outcome: "failed" as const, downtimeMs: null, pauseMs: null },
    ...{ totalMs: 1, bytes: 0, error, next: [said] },
  };
  assertEquals(lineOf(result, false)?.split("\n"), [
    `vmferry: source: ${harmless}`,
    "vmferry: the guest was not moved",
    `vmferry: next: ${harmless}`,
  ]);
  const warning = { event: "warning" as const, code: "storage" as const, message: said };
  assertEquals(lineOf(warning, false), `vmferry: warning: ${harmless}`);
  const one = { ...progress(0), disks: [disk(said, 5)] };
  assertEquals(lineOf(one, false)?.includes("\n"), false);
  assertEquals(/\p{Cc}/u.test(barLines(one, 200).join("")), false);
});
