import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { Ram } from "../../../src/migrate/ram/ram.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

/**
 * A migration that stands in `status` until it is cancelled, or its connection is closed.
 *
 * @param cancelled its status after `migrate_cancel`.
 */
async function standing(status: string, cancelled = "cancelled") {
  const [ours, theirs] = memoryPipe();
  const order: string[] = [];
  let now = status;
  const qemu = new FakeQemu(theirs, {
    "query-migrate": () => ({ return: { status: now } }),
    "migrate-continue": () => {
      now = order.includes("disconnect") ? "failed" : "device";
      return { return: {} };
    },
    "migrate_cancel": () => {
      order.push("migrate_cancel");
      now = cancelled;
      return { return: {} };
    },
  });
  const qmp = await QmpClient.open(ours);
  const clock = new ManualClock();
  const ram = new Ram({
    qmp,
    clock,
    log: silentLogger,
    takeBack: () => Promise.resolve(),
  }, {
    carrier: undefined,
    roundBegan: () => {},
    close: () => {
      order.push("disconnect");
      now = "failed";
      return Promise.resolve();
    },
  });
  return { ram, order, end: () => qemu.close(), fail: () => now = "failed", qemu, clock };
}

Deno.test("a migration can be cancelled until migrate-continue was given", async () => {
  for (const status of ["active", "pre-switchover"]) {
    const { ram, order, end } = await standing(status);
    await ram.undo(true);
    assertEquals(order, ["migrate_cancel"]);
    end();
  }
});

Deno.test("a cancel that QEMU does not carry out closes the connection", async () => {
  const { ram, order, end, clock } = await standing("active", "cancelling");
  const undone = ram.undo(true);
  // As with channels of multifd that nobody reads.
  while (order.length < 1) await settle();
  assertEquals(order, ["migrate_cancel"]);
  let isOver = false;
  undone.then(() => isOver = true);
  for (let ms = 0; !isOver && ms < 5000; ms += 100) {
    await clock.advance(100);
    await settle();
  }
  assertEquals([order, isOver], [["migrate_cancel", "disconnect"], true]);
  end();
});

Deno.test("from migrate-continue on its connection is closed, and nothing is ever cancelled", async () => {
  const { ram, order, end } = await standing("pre-switchover");
  const stop = new AbortController();
  const completing = ram.complete(stop.signal);
  completing.catch(() => {});
  stop.abort(new Error("Cancelled by SIGTERM"));
  await ram.undo(true);
  assertEquals(order, ["disconnect"]);
  end();
});

Deno.test("a switchover that a killed tool has left is waited for, not cancelled", async () => {
  const { ram, order, end, fail, qemu } = await standing("device");
  const undone = ram.undo(true);
  while (!qemu.received.some((c) => c.command === "query-migrate")) await Promise.resolve();
  fail();
  await undone;
  assertEquals(order, []);
  end();
});

Deno.test("a source that cannot inactivate its disks is the cause, not RAM", async () => {
  const reasons = [
    ["Block inactivate failed during switchover", "disk-not-inactivated"],
    ["Error in migration completion: Bad address", "disk-not-inactivated"],
    ["Unable to write to socket: Broken pipe", "ram-failed"],
  ];
  for (const [reason, code] of reasons) {
    const [ours, theirs] = memoryPipe();
    let status = "pre-switchover";
    const qemu = new FakeQemu(theirs, {
      "query-migrate": () => ({ return: { status, "error-desc": reason } }),
      "migrate-continue": () => {
        status = "failed";
        return { return: {} };
      },
    });
    const qmp = await QmpClient.open(ours);
    const clock = new ManualClock();
    const takeBack = () => Promise.resolve();
    const ram = new Ram({ qmp, clock, log: silentLogger, takeBack });
    const completing = ram.complete(new AbortController().signal);
    let isOver = false;
    completing.catch(() => isOver = true);
    for (let ms = 0; !isOver && ms < 60_000; ms += 100) await clock.advance(100);
    const error = await assertRejects(() => completing, MigrationError, reason!);
    assertEquals([error.code, error.side], [code, "source"]);
    qemu.close();
  }
});
