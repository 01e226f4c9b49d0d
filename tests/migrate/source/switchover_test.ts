import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { handOver } from "../../../src/migrate/source/hand_over.ts";
import { switchOver } from "../../../src/migrate/source/switchover.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { paused, until } from "./phases.ts";

Deno.test("QEMU ends the mirrors first, and the journal says handover before finish", async () => {
  const { source, result } = await paused();
  const from = source.order.length;
  await handOver(source.context, await switchOver(source.context, result));
  const after = source.order.slice(from);
  // Both are sent in the same turn; which of the two is there first does not matter.
  assertEquals(after.slice(0, 2).toSorted(), ["journal:switchover", "qmp:block-job-cancel"]);
  assertEquals(after.slice(2, -2).toSorted(), ["qmp:migrate-continue", "rpc:load"]);
  assertEquals(after.slice(-2), ["journal:handover", "rpc:finish"]);
  assertEquals(source.context.state.current, "handover");
  await source.end();
});

Deno.test("the handover is not written before the destination has loaded the guest", async () => {
  const load = Promise.withResolvers<Record<never, never>>();
  const { source, result } = await paused({ handlers: { load: () => load.promise } });
  const switching = switchOver(source.context, result).then((crossed) =>
    handOver(source.context, crossed)
  );
  await until("QEMU has sent everything", () => source.qemu.migration === "completed");
  await source.clock.advance(1000);
  assertEquals(source.context.state.current, "switchover");
  load.resolve({});
  await switching;
  assertEquals(source.context.state.current, "handover");
  await source.end();
});

Deno.test("the handover is not written before the source's QEMU says completed", async () => {
  const { source, result } = await paused({
    commands: { "migrate-continue": () => ({ return: {} }) },
  });
  const switching = switchOver(source.context, result).then((crossed) =>
    handOver(source.context, crossed)
  );
  await until("the destination has loaded", () => source.order.includes("rpc:load"));
  await source.clock.advance(1000);
  assertEquals(source.context.state.current, "switchover");
  await source.qemu.migrate("completed");
  await switching;
  assertEquals(source.written.at(-1)?.state, "handover");
  await source.end();
});

Deno.test("a destination that cannot load is the cause, not the socket that QEMU saw closed", async () => {
  const { source, result } = await paused({
    handlers: { load: () => Promise.reject(new RpcError("load-failed", "Unknown savevm section")) },
    commands: {
      "migrate-continue": () => {
        setTimeout(() => source.qemu.migrate("failed"), 0);
        return { return: {} };
      },
    },
  });
  await assertRejects(() => switchOver(source.context, result));
  assertEquals(String(source.context.signal.reason), "RpcError: Unknown savevm section");
  assertEquals(source.written.at(-1)?.state, "switchover");
  await source.end();
});

Deno.test("a mirror that is not ready when the guest is paused fails before QEMU continues", async () => {
  const { source, result } = await paused({
    commands: {
      "block-job-cancel": () => ({
        error: { class: "GenericError", desc: "Job is paused" },
      }),
    },
  });
  const error = await assertRejects(() => switchOver(source.context, result), MigrationError);
  assertEquals([error.code, error.message], [
    "disk-write-failed",
    "Job is paused while writing disk vd0",
  ]);
  assertEquals(source.qemu.count("migrate-continue"), 0);
  await source.end();
});

Deno.test("a cancel during the switchover does not reach the state handover", async () => {
  const { source, result } = await paused({ handlers: { load: () => new Promise(() => {}) } });
  const switching = switchOver(source.context, result);
  await until("QEMU has sent everything", () => source.qemu.migration === "completed");
  source.context.fault(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
  await assertRejects(() => switching, MigrationError, "Cancelled");
  assertEquals(source.written.some(({ state }) => state === "handover"), false);
  await source.end();
});

Deno.test("a journal that cannot be written in the switchover fails the migration", async () => {
  for (const failing of ["switchover", "handover"]) {
    const { source, result } = await paused({
      onWrite: ({ state }) =>
        state === failing ? Promise.reject(new Error("No space left")) : Promise.resolve(),
    });
    const handingOver = switchOver(source.context, result)
      .then((crossed) => handOver(source.context, crossed));
    await assertRejects(() => handingOver, Error, "No space left");
    assertEquals([source.context.state.current, source.order.includes("rpc:finish")], [
      "switchover",
      false,
    ]);
    await source.end();
  }
});

Deno.test("a guest that sleeps cannot resume at the source once RAM goes", async () => {
  const { source, result } = await paused();
  source.context.asleepCanGo = true;
  await source.qemu.say("SUSPEND");
  await until("the guest sleeps", () => source.context.guest!.asleep);
  assertEquals(source.context.noWayBack, false);
  await switchOver(source.context, result);
  assertEquals([source.context.noWayBack, source.written.at(-1)?.asleep], [true, true]);
  await source.end();
});
