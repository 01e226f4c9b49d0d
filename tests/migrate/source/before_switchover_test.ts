import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { SourceMigration } from "../../../src/migrate/source/migration.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { fakeSource, type FakeSourceOptions } from "../../support/fake_source.ts";
import { inTime } from "./phases.ts";

async function migration(options: FakeSourceOptions) {
  const source = await fakeSource(options);
  return { source, made: new SourceMigration(source.options) };
}

Deno.test("hooks run at the source and then at the destination, with mirrors ready and RAM not begun", async () => {
  const asked: string[] = [];
  const { source, made } = await migration({
    options: {
      beforeSwitchover: () => {
        source.order.push("hook");
        return Promise.resolve();
      },
    },
    handlers: {
      ready: ({ step }) => {
        asked.push(step);
        source.order.push(`ready ${step}`);
        return Promise.resolve({ ready: asked.length !== 2 });
      },
    },
  });
  await inTime(source, made.run());
  assertEquals(asked, ["prepare", "switchover", "switchover"]);
  const order = source.order.filter((e) =>
    /^(hook|ready|qmp:(blockdev-mirror|migrate)$|rpc:(prepare$|openTunnel ram))/.test(e)
  );
  assertEquals(order, [
    ...["ready prepare", "rpc:prepare", "qmp:blockdev-mirror", "hook"],
    ...["ready switchover", "ready switchover", "rpc:openTunnel ram", "qmp:migrate"],
  ]);
  await source.end();
});

for (const side of ["source", "destination"] as const) {
  Deno.test(`a hook that fails at the ${side} fails the migration, and the guest was never paused`, async () => {
    const refuse = () =>
      Promise.reject(
        side === "source"
          ? new MigrationError("failed", "hook-failed", "source", "no")
          : new RpcError("hook-failed", "no"),
      );
    const { source, made } = await migration(
      side === "source" ? { options: { beforeSwitchover: refuse } } : {
        handlers: {
          ready: ({ step }) => step === "prepare" ? Promise.resolve({ ready: true }) : refuse(),
        },
      },
    );
    const error = await inTime(source, assertRejects(() => made.run(), MigrationError));
    assertEquals([error.kind, error.code, error.side], ["failed", "hook-failed", side]);
    assertEquals(source.order.filter((e) => /^qmp:(migrate|stop|cont)$/.test(e)), []);
    assertEquals([source.qemu.jobs.size, source.qemu.nodes.size, made.memoryBegan], [0, 0, false]);
    assertEquals((source.tool.aborted as { code: string }).code, "hook-failed");
    await source.end();
  });
}

Deno.test("a cancel while the hook runs stops the hook and is the outcome", async () => {
  let stopped = false;
  const { source, made } = await migration({
    options: {
      beforeSwitchover: (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            stopped = true;
            reject(signal.reason);
          });
          source.cancel.abort(new MigrationError("cancelled", "cancelled", "source", "stop"));
        }),
    },
  });
  const error = await inTime(source, assertRejects(() => made.run(), MigrationError));
  assertEquals([error.kind, stopped], ["cancelled", true]);
  await source.end();
});
