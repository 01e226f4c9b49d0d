import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { firstSourceRecord } from "../../../src/migrate/journal.ts";
import { prepare } from "../../../src/migrate/source/prepare.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { serverSaying } from "../../nbd/dialogue.ts";
import { fakeSource } from "../../support/fake_source.ts";

const RESUMED = firstSourceRecord({ qmp: "/qmp", destination: "tcp://x:1" });

Deno.test("the journal names the migration before the destination hears of it", async () => {
  const source = await fakeSource();
  const { mirrors } = await prepare(source.context);
  assertEquals(mirrors.progress.map(({ name }) => name), ["vd0"]);
  assertEquals(source.order, [
    "journal:prepare",
    "connect",
    "rpc:prepare",
    "rpc:openTunnel nbd",
    "journal:mirror",
  ]);
  const [first, second] = source.written;
  assertEquals([first?.qemu, first?.wasRunning, first?.mirrors.length], ["77", true, 0]);
  assertEquals([second?.migration, second?.recoverThere], [first?.migration, "recover it"]);
  assertEquals(second?.mirrors.map(({ name, device }) => [name, device]), [["vd0", "d0"]]);
  await source.end();
});

Deno.test("a source that cannot move is refused before the destination is connected", async () => {
  const source = await fakeSource({
    commands: { "query-block-jobs": () => ({ return: [{ device: "backup", type: "backup" }] }) },
  });
  const error = await assertRejects(() => prepare(source.context), MigrationError, "backup");
  assertEquals([error.kind, error.code, error.side], ["refused", "source-not-fit", "source"]);
  assertEquals(source.order, []);
  await source.end();
});

Deno.test("a destination is not connected when the journal cannot be written", async () => {
  const source = await fakeSource({ onWrite: () => Promise.reject(new Error("No space left")) });
  await assertRejects(() => prepare(source.context), Error, "No space left");
  assertEquals(source.order, ["journal:prepare"]);
  await source.end();
});

Deno.test("a destination that refuses leaves the state at prepare and QEMU unchanged", async () => {
  const source = await fakeSource({
    handlers: { prepare: () => Promise.reject(new RpcError("refused", "no disk vd0")) },
  });
  await assertRejects(() => prepare(source.context), RpcError, "no disk vd0");
  assertEquals(source.context.record.state, "prepare");
  assertEquals(source.order, ["journal:prepare", "connect", "rpc:prepare"]);
  await source.end();
});

Deno.test("the state is not mirror while an export does not answer as an export", async () => {
  const source = await fakeSource();
  source.tool.nbd = () => serverSaying([], { hangUp: true });
  const error = await assertRejects(() => prepare(source.context), MigrationError, "disk vd0");
  assertEquals(error.code, "probe-closed");
  assertEquals(source.written.map(({ state }) => state), ["prepare"]);
  await source.end();
});

Deno.test("a destination without an export of a disk fails by name", async () => {
  const source = await fakeSource({
    handlers: {
      prepare: () =>
        Promise.resolve({
          ...{
            qemuVersion: "7.2.15",
            warnings: [],
            images: null,
            recover: "",
            exports: [],
            multifd: null,
            postcopy: null,
            hashes: null,
          },
        }),
    },
  });
  const error = await assertRejects(() => prepare(source.context), MigrationError, "disk vd0");
  assertEquals([error.code, error.side], ["no-export", "destination"]);
  await source.end();
});

Deno.test("a guest that was paused is written as one that stays paused", async () => {
  const source = await fakeSource();
  source.qemu.status = "paused";
  await prepare(source.context);
  assertEquals(source.written.map(({ wasRunning }) => wasRunning), [false, false]);
  await source.end();
});

Deno.test("only a destination that has prepared for a killed process is not compared again", async () => {
  for (const state of ["prepared", "waiting"] as const) {
    const source = await fakeSource({
      resume: RESUMED,
      handlers: {
        status: () => Promise.resolve({ state, guest: "inmigrate" }),
        describeDisks: () => Promise.reject(new RpcError("unknown-procedure", "too old")),
      },
    });
    await prepare(source.context);
    const compared = source.order.includes("rpc:describeDisks");
    assertEquals([compared, source.warnings.includes("machines-not-compared")], [
      state === "waiting",
      state === "waiting",
    ]);
    await source.end();
  }
});

Deno.test("a migration that fails during prepare makes no mirrors", async () => {
  const source = await fakeSource({
    handlers: {
      prepare: () => {
        source.context.fault(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
        return new Promise(() => {});
      },
    },
  });
  await assertRejects(() => prepare(source.context), MigrationError, "Cancelled");
  assertEquals(source.written.map(({ state }) => state), ["prepare"]);
  await source.end();
});
