import { assertEquals } from "@std/assert";
import { FirstCause } from "../../src/migrate/first_cause.ts";
import { type ErrorCode, MigrationError } from "../../src/migrate/mod.ts";
import { NbdProbeError } from "../../src/nbd/mod.ts";
import { QmpClosedError } from "../../src/qmp/mod.ts";
import { RpcError } from "../../src/rpc/mod.ts";
import { StreamResetError } from "../../src/tunnel/mod.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";

const paused = () => true;

const failed = (code: ErrorCode) => new MigrationError("failed", code, "source", code);

Deno.test("the first cause of a failure is the one that is reported", async () => {
  const cause = new FirstCause(new ManualClock(), paused);
  cause.take(failed("timeout"));
  cause.take(failed("disk-full"));
  assertEquals((cause.signal.reason as MigrationError).code, "timeout");
  assertEquals(await cause.settle(new Error("whatever followed")), cause.signal.reason);
});

Deno.test("a possible symptom is reported only if no cause follows within a moment", async () => {
  for (
    const symptom of [
      ...[failed("disk-write-failed"), failed("ram-failed"), new QmpClosedError("gone", "by-qemu")],
      new RpcError("failed", "Can't connect"),
      failed("disk-connection-closed"),
      new StreamResetError("read-failed", "Connection reset by peer", "peer"),
      new MigrationError("failed", "no-export", "destination", "Disk vd0: cut off", {
        cause: new NbdProbeError("closed", "The server closed the connection"),
      }),
    ]
  ) {
    const clock = new ManualClock();
    const told = new FirstCause(clock, paused);
    told.take(symptom);
    await clock.advance(1900);
    assertEquals(told.signal.aborted, false);
    told.take(failed("destination-qemu-gone"));
    assertEquals((told.signal.reason as MigrationError).code, "destination-qemu-gone");
    assertEquals(clock.armed, 0);

    const silent = new FirstCause(clock, paused);
    const settled = silent.settle(symptom);
    silent.take(failed("ram-failed"));
    await clock.advance(2000);
    assertEquals(await settled, symptom);
  }
  const cause = new FirstCause(new ManualClock(), paused);
  cause.take(new RpcError("refused", "does not fit"));
  await settle();
  assertEquals(cause.signal.aborted, true, "a refusal is no symptom");
});

Deno.test("while the guest runs, a busy destination has eight seconds to report the cause", async () => {
  for (const [isPaused, ms] of [[true, 2000], [false, 8000]] as const) {
    const clock = new ManualClock();
    const cause = new FirstCause(clock, () => isPaused);
    cause.take(failed("disk-connection-closed"));
    await clock.advance(ms - 100);
    assertEquals(cause.signal.aborted, false);
    await clock.advance(100);
    assertEquals(cause.signal.aborted, true);
  }
});
