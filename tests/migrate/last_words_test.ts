import { assert, assertEquals } from "@std/assert";
import { adviceOn } from "../../src/migrate/mod.ts";
import { qemuGone } from "../../src/migrate/errors.ts";
import { notLoaded } from "../../src/migrate/destination/failure.ts";
import { QmpClosedError } from "../../src/qmp/mod.ts";
import { quoteOf } from "../../src/migrate/last_words.ts";

Deno.test("a quotation has the log's last lines, the program's name once, and no colours", () => {
  const log = "qemu: \x1b[1mFailed to load x\x1b[0m\r\nqemu: load of migration failed: Invalid\n\n";
  assertEquals(quoteOf(log), "qemu: Failed to load x; load of migration failed: Invalid");
  assertEquals(quoteOf(" \n"), undefined);
});

Deno.test("a log's warnings are quoted only if it has no other lines", () => {
  const warning = "qemu: warning: host doesn't support requested feature";
  assertEquals(quoteOf(warning), warning);
  assertEquals(quoteOf(`qemu: Assertion failed\n${warning}`), "qemu: Assertion failed");
});

Deno.test("a quotation is one printable line of bounded length for any log", () => {
  const quote = quoteOf("\x00\x1b[2J\u202e" + "x".repeat(100_000) + "\ny".repeat(1000))!;
  assert(quote.length <= 601, String(quote.length));
  assert(!/[\p{Cc}\u202e]/u.test(quote));
});

Deno.test("a message that quotes QEMU's log does not advise to read it", () => {
  const cause = new QmpClosedError("QEMU closed its QMP connection (has QEMU exited?)", "by-qemu");
  for (const side of ["source", "destination"] as const) {
    const bare = qemuGone(side, cause);
    const quoted = qemuGone(side, cause, "qemu: Killed by a bug\n");
    assertEquals(bare.message, "QEMU has ended: it closed its QMP connection");
    assertEquals(quoted.message, 'QEMU has ended: "qemu: Killed by a bug"');
    assertEquals([bare, quoted].map((e) => /its log/.test(adviceOn(e).join())), [true, false]);
  }
  const shutdown = new QmpClosedError("QEMU shut down (host-signal)", "shutdown");
  const shutDown = qemuGone("source", shutdown, "qemu: signal 15");
  assertEquals(shutDown.message, 'QEMU shut down (host-signal): "qemu: signal 15"');
});

Deno.test("the message about a guest that was not loaded has QMP's error and QEMU's log", () => {
  const message = (log?: string) => notLoaded(new Error("Invalid argument"), log).message;
  assertEquals(message(), "The guest could not be loaded: Invalid argument");
  assertEquals(
    message("qemu: Unknown section\n"),
    'The guest could not be loaded: Invalid argument. QEMU says: "qemu: Unknown section"',
  );
});
