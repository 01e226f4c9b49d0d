import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { checkMigration, MigrationError } from "../../../src/migrate/mod.ts";
import {
  ExportsInUseError,
  removeComparison,
  removeLeft,
} from "../../../src/migrate/storage/left_exports.ts";
import { TemporaryExports } from "../../../src/migrate/storage/temporary_exports.ts";
import { destinationProblems, inspectGuest } from "../../../src/migrate/guest/inspect.ts";
import { verifyProblems } from "../../../src/migrate/verify/mod.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { NO_HOST, WaitingQemu } from "../../support/fake_destination.ts";
import type { Commands } from "../../support/fake_qemu.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const OTHER = "vmferry migrate (process 7)";

/** A QEMU in which process `0000dead`, `0000beef` (which runs) or this one, `0badcafe`, has made exports. */
async function qemuWith(exports: readonly string[], more: Commands = {}) {
  const [ours, theirs] = memoryPipe();
  const qemu = new WaitingQemu(theirs, {
    "query-block-jobs": () => ({ return: [] }),
    "query-iothreads": () => ({ return: [] }),
    ...more,
  });
  qemu.status = "running";
  qemu.nbdServer = exports.length > 0;
  for (const id of exports) qemu.exports.add(id);
  const qmp = await QmpClient.open(ours);
  const clock = new ManualClock();
  const running = new Map([["0000beef", OTHER]]);
  const host = {
    processes: {
      own: () => Promise.resolve("0badcafe"),
      running: (marks: ReadonlySet<string>) =>
        Promise.resolve(new Map([...running].filter(([mark]) => marks.has(mark)))),
    },
    describeHost: NO_HOST,
    connectTcp: () => Promise.reject(new Error("not served")),
    connectUnix: () => Promise.reject(new Error("not served")),
    removeFile: () => Promise.resolve(),
  };
  const access = { ...host, qmp, clock, log: silentLogger, socketPath: "/run/compare.sock" };
  return { qemu, qmp, clock, running, host, access, end: () => qemu.fake.close() };
}

/** Moves the time on until the promise is settled. */
async function settled<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  promise.then(() => isSettled = true, () => isSettled = true);
  for (let i = 0; i < 1000 && !isSettled; i++) await clock.advance(50);
  return await promise;
}

Deno.test("exports of a killed process and of this one are removed", async () => {
  const { qemu, clock, access, end } = await qemuWith([
    "vmferry-compare-0000dead-0",
    "vmferry-compare-0badcafe-n1",
    "somebody",
  ]);
  await settled(clock, removeLeft(access.qmp, access));
  assertEquals([...qemu.exports], ["somebody"]);
  assertEquals(qemu.count("nbd-server-stop"), 0);
  end();
});

Deno.test("exports of a running process are left alone, and it is named", async () => {
  const ids = ["vmferry-compare-0000beef-0", "vmferry-compare-0000dead-0"];
  const { qemu, access, end } = await qemuWith(ids);
  await assertRejects(() => removeLeft(access.qmp, access), ExportsInUseError, OTHER);
  const error = await assertRejects(
    () => removeComparison(access.qmp, "source", access),
    MigrationError,
    OTHER,
  );
  assertEquals([error.kind, error.code], ["refused", "qemu-in-use"]);
  assertEquals([...qemu.exports], ids);
  assertEquals(qemu.count("nbd-server-stop"), 0);
  end();
});

Deno.test("a node of a running process is left alone", async () => {
  const nodes = [{ "node-name": "vmferry-compare-0000beef-1", drv: "raw", file: "" }];
  const { qemu, access, end } = await qemuWith([], {
    "query-named-block-nodes": () => ({ return: nodes }),
  });
  await assertRejects(() => removeLeft(access.qmp, access), ExportsInUseError, OTHER);
  assertEquals(qemu.count("blockdev-del"), 0);
  end();
});

Deno.test("a comparison that cannot begin leaves no NBD server in QEMU", async () => {
  const { qemu, clock, access, host, end } = await qemuWith([]);
  const own = () => Promise.reject(new Error("no sh"));
  const processes = { ...host.processes, own };
  const started = TemporaryExports.start({ ...access, processes });
  await assertRejects(() => settled(clock, started), Error, "no sh");
  assertEquals([qemu.nbdServer, qemu.count("nbd-server-start")], [false, 0]);
  end();
});

Deno.test("a comparison waits for another process to stop its NBD server, then starts its own", async () => {
  const { qemu, clock, access, end } = await qemuWith(["vmferry-compare-0000beef-0"]);
  const starting = TemporaryExports.start(access);
  clock.after(5_000, () => qemu.exports.clear());
  clock.after(5_200, () => qemu.nbdServer = false);
  const exports = await settled(clock, starting);
  assertEquals(qemu.nbdServer, true);
  assertEquals(clock.now() < 6_000, true);
  await settled(clock, exports[Symbol.asyncDispose]());
  end();
});

Deno.test("a comparison does not wait for a server with somebody else's exports", async () => {
  const { clock, access, end } = await qemuWith(["somebody"]);
  await assertRejects(() => TemporaryExports.start(access), Error, "already running");
  assertEquals(clock.now(), 0);
  end();
});

Deno.test("a comparison gives up after 20 s and names the other process", async () => {
  const { qemu, clock, access, end } = await qemuWith(["vmferry-compare-0000beef-0"]);
  await assertRejects(
    () => settled(clock, TemporaryExports.start(access)),
    ExportsInUseError,
    OTHER,
  );
  assertEquals(qemu.exports.size, 1);
  end();
});

Deno.test("--verify starts no NBD server in a QEMU that migrates", async () => {
  for (
    const commands of [
      { "query-migrate": () => ({ return: { status: "active" } }) },
      {
        "query-block-jobs": () => ({
          return: [{ device: "vmferry-1234abcd-0", type: "mirror", len: 1, offset: 1 }],
        }),
      },
    ]
  ) {
    const { qemu, access, end } = await qemuWith([], commands);
    assertEquals(await verifyProblems(access), []);
    assertEquals(qemu.count("nbd-server-start"), 0);
    end();
  }
});

Deno.test("a destination that exports its disks to a migration refuses another one", async () => {
  const { qemu, qmp, end } = await qemuWith(["vmferry-1234abcd-0"]);
  qemu.status = "inmigrate";
  const problems = await destinationProblems(qmp, await inspectGuest(qmp));
  assertEquals(problems.length, 1);
  assertEquals(/vmferry-1234abcd-0.*'vmferry status'/.test(problems[0]!), true);
  end();
});

Deno.test("a check of a QEMU whose disks another process reads names it and makes nothing", async () => {
  const { qemu, qmp, host, clock, end } = await qemuWith(["vmferry-compare-0000beef-0"]);
  const { problems } = await checkMigration({
    ...{ qmp, host, clock, log: silentLogger, disks: [], allow: [], shared: [], reuse: [] },
    ...{ verify: true, socketPath: "/run/compare.sock", connect: undefined },
    signal: new AbortController().signal,
  });
  assertEquals(problems.map(({ message }) => message.includes(OTHER)), [true]);
  assertEquals(qemu.exports.size, 1);
  assertEquals(qemu.count("nbd-server-start") + qemu.count("nbd-server-stop"), 0);
  end();
});

Deno.test("a check ends when a migration of its guest begins", async () => {
  const { qemu, qmp, host, clock, end } = await qemuWith([]);
  const checking = checkMigration({
    ...{ qmp, host, clock, log: silentLogger, disks: [], allow: [], shared: [], reuse: [] },
    ...{ socketPath: "/run/compare.sock" },
    connect: (signal) => {
      const data = { id: "vmferry-1234abcd-0", status: "created" };
      qemu.fake.say({
        event: "JOB_STATUS_CHANGE",
        data,
        timestamp: { seconds: 1, microseconds: 0 },
      });
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("No session")));
      });
    },
    signal: new AbortController().signal,
  });
  const error = await assertRejects(() => checking, MigrationError, "has begun");
  assertEquals([error.kind, error.code], ["refused", "qemu-in-use"]);
  end();
});

Deno.test("the NBD server is stopped although QEMU has an export of another type", async () => {
  const fuse = { id: "somebody", type: "fuse" };
  const { qemu, clock, access, end } = await qemuWith([], {
    "query-block-exports": () => ({ return: [fuse] }),
  });
  const exports = await TemporaryExports.start(access);
  assertEquals(qemu.nbdServer, true);
  await settled(clock, exports[Symbol.asyncDispose]());
  assertEquals(qemu.nbdServer, false);
  end();
});

Deno.test("a destination whose NBD server serves somebody is refused before the source copies", async () => {
  const others = [{ id: "backup", type: "nbd" }, { id: "mounted", type: "fuse" }];
  const { qemu, qmp, end } = await qemuWith([], {
    "query-block-exports": () => ({ return: others }),
  });
  qemu.status = "inmigrate";
  assertEquals(await destinationProblems(qmp, await inspectGuest(qmp)), [
    "QEMU's only NBD server serves other exports (backup). " +
    "End it with the QMP command nbd-server-stop and try again",
  ]);
  end();
});
