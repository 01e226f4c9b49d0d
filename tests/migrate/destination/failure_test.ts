import { assertEquals, assertRejects } from "@std/assert";
import { DeadlineError, systemClock, withDeadline } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { fakeDestination } from "../../support/fake_destination.ts";
import { announced, cancelled, never, turns, until } from "./support.ts";

Deno.test("an abort for a fault of the destination is reported as a fault of the destination", async () => {
  const full = {
    ...{ reason: "No space left on device while writing disk vd0", cancelled: false },
    ...{ code: "disk-full", side: "destination" as const },
  };
  const old = { ...full, code: null, side: null };
  const hostile = { ...full, code: "x\n\x1b[2J" };
  for (
    const [why, told] of [
      [full, "failed,disk-full,destination"],
      [old, "failed,aborted-by-source,source"],
      [hostile, "failed,peer-error,destination,x??[2J"],
      [cancelled("Ctrl-C"), "cancelled,cancelled,source"],
    ] as const
  ) {
    const destination = await fakeDestination(systemClock);
    const source = await destination.source();
    await source.prepare(announced("one"), never);
    await source.abort(why);
    const error = await assertRejects(() => destination.migration.outcome(), MigrationError);
    const { kind, code, side, peerCode } = error;
    assertEquals([kind, code, side, ...(peerCode === undefined ? [] : [peerCode])].join(), told);
    assertEquals(error.message, why.reason);
    await source.close();
    await destination.end();
  }
});

Deno.test("an abort is answered once the owner has undone, with what it could not", async () => {
  const undone = Promise.withResolvers<readonly string[]>();
  let asked = 0;
  const destination = await fakeDestination(systemClock, {}, {
    afterUndo: () => {
      asked++;
      return undone.promise;
    },
  });
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  let left: readonly string[] | undefined;
  const aborting = source.abort(cancelled("Ctrl-C")).then((answer) => left = answer);
  await until("the owner undoes", () => asked === 1);
  await turns();
  assertEquals(left, undefined);
  undone.resolve(["/vm/a.img"]);
  await aborting;
  assertEquals([left, asked], [["/vm/a.img"], 1]);
  await source.close();
  await destination.end();
});

Deno.test("a source whose guest is paused does not wait for what the owner undoes", async () => {
  const undone = Promise.withResolvers<readonly string[]>();
  const loading = {
    "migrate-incoming": () => ({ return: {} }),
    quit: () => ({ return: {} }),
  };
  const destination = await fakeDestination(systemClock, loading, {
    afterUndo: () => undone.promise,
  });
  const { qemu } = destination;
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  await source.openChannel("ram");
  qemu.migration = "active";
  const asked = qemu.count("query-migrate");
  const loaded = assertRejects(() => source.load(never), RpcError);
  await until("QEMU loads", () => qemu.count("query-migrate") > asked);
  const aborting = source.abort(cancelled("Ctrl-C"));
  qemu.migration = "failed";
  await loaded;
  qemu.fake.close();
  await withDeadline(systemClock, 5_000, "an answer", aborting);
  undone.resolve([]);
  await source.close();
  await destination.end();
});

Deno.test("a QEMU that still loads a given-up guest is ended once it has loaded it", async () => {
  const loading = { "migrate-incoming": () => ({ return: {} }) };
  const destination = await fakeDestination(systemClock, loading);
  const { qemu } = destination;
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  // Told to wait for it; how it comes is of no matter here.
  await source.openChannel("ram");
  qemu.migration = "active";
  const asked = qemu.count("query-migrate");
  let over = false;
  const aborting = source.abort(cancelled("Ctrl-C")).then(() => over = true);
  await until("QEMU is asked", () => qemu.count("query-migrate") > asked);
  await turns();
  assertEquals([over, qemu.count("quit")], [false, 0]);
  qemu.migration = "completed";
  await aborting;
  assertEquals(qemu.count("quit"), 1);
  await source.close();
  await destination.end();
});

for (
  const [version, ends] of [["7.2", true], ["9.0", true], ["9.1", false], ["10.0", false]] as const
) {
  const what = ends
    ? "ends by itself, and the answer waits for that"
    : "stays, and the answer does not wait for it";
  Deno.test(`a QEMU ${version} that could not load the guest ${what}`, async () => {
    const [major, minor] = version.split(".").map(Number);
    const destination = await fakeDestination(systemClock, {
      "migrate-incoming": () => ({ return: {} }),
      "query-version": () => ({ return: { qemu: { major, minor, micro: 0 }, package: "" } }),
    });
    const { qemu } = destination;
    const source = await destination.source();
    await source.prepare(announced("one"), never);
    await source.openChannel("ram");
    qemu.migration = "failed";
    const aborting = source.abort(cancelled("Ctrl-C"));
    if (ends) {
      // Without the wait the answer is there within a few ms.
      await assertRejects(
        () => withDeadline(systemClock, 400, "an answer", aborting),
        DeadlineError,
      );
      qemu.fake.close();
    }
    await withDeadline(systemClock, 5_000, "an answer", aborting);
    assertEquals(qemu.count("quit"), 0);
    await source.close();
    await destination.end();
  });
}

Deno.test("a load that is cancelled is answered with the reason, not with its consequences", async () => {
  const loading = {
    "migrate-incoming": () => ({ return: {} }),
    "block-export-del": () => undefined,
  };
  const destination = await fakeDestination(systemClock, loading);
  const { qemu, migration } = destination;
  const source = await destination.source();
  await source.prepare(announced("one"), never);
  await source.openChannel("ram");
  qemu.migration = "active";
  const loaded = assertRejects(() => source.load(never), RpcError);
  await turns();
  const reason = new MigrationError(
    "cancelled",
    "cancelled",
    "destination",
    "Cancelled by SIGTERM",
  );
  const cancelling = migration.cancel(reason);
  qemu.migration = "failed";
  // It is heard before everything is undone.
  assertEquals((await loaded).message, reason.message);
  qemu.exports.clear();
  await qemu.fake.answer("block-export-del", { return: {} });
  await until("QEMU is asked again", () => qemu.count("query-migrate") >= 2);
  qemu.fake.close();
  await cancelling;
  await source.close(100);
  await destination.end();
});
