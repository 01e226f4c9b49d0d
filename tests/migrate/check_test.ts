import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { silentLogger, systemClock } from "../../src/io/mod.ts";
import {
  checkDestination,
  checkMigration,
  type CheckOptions,
  MigrationError,
} from "../../src/migrate/mod.ts";
import { QmpClient } from "../../src/qmp/mod.ts";
import { ALONE, fakeDestination, NO_HOST, WaitingQemu } from "../support/fake_destination.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

/** A QEMU in this run state, with a disk vd0. */
async function qemuThat(
  status: string,
  connect?: CheckOptions["connect"],
  migration: object = { status: "none" },
  kvm = true,
) {
  const [ours, theirs] = memoryPipe();
  const qemu = new WaitingQemu(theirs, {
    "query-block-jobs": () => ({ return: [] }),
    "query-migrate": () => ({ return: migration }),
    "query-kvm": () => ({ return: { enabled: kvm, present: true } }),
  });
  qemu.status = status;
  const qmp = await QmpClient.open(ours);
  const check = (...disks: { name: string; local: string }[]) =>
    checkMigration({
      ...{ qmp, disks, connect, allow: [], clock: systemClock, log: silentLogger },
      ...{ shared: [], reuse: [], socketPath: "/nowhere" },
      host: {
        ...{ describeHost: NO_HOST, processes: ALONE },
        connectTcp: () => Promise.reject(new Error("not served")),
        connectUnix: () => Promise.reject(new Error("not served")),
        removeFile: () => Promise.resolve(),
      },
      signal: new AbortController().signal,
    });
  return { qmp, check, end: () => qemu.fake.close() };
}

const MAPPED = { name: "x", local: "vd0" };
const NOWHERE = { name: "vd0", local: "nope" };

Deno.test("--disk NAME=LOCAL is accepted for a destination and rejected for a source", async () => {
  const waiting = await qemuThat("inmigrate");
  const there = await waiting.check(MAPPED);
  assertEquals([there.role, there.problems.length], ["destination", 0]);
  assertEquals(there.disks.map((d) => d.name), ["vd0"]);
  assertEquals((await waiting.check(NOWHERE)).problems, [{
    side: "destination",
    message: "--disk vd0=nope: there is no disk nope. Disks: vd0",
  }]);
  waiting.end();

  const running = await qemuThat("running");
  assertEquals((await running.check()).role, "source");
  assertEquals((await running.check(MAPPED)).problems.map((p) => p.side), ["source"]);
  running.end();
});

Deno.test("a destination without the named disks refuses before a source connects", async () => {
  const waiting = await qemuThat("inmigrate");
  await checkDestination(waiting.qmp, [MAPPED]);
  const error = await assertRejects(
    () => checkDestination(waiting.qmp, [NOWHERE]),
    MigrationError,
    "--disk vd0=nope: there is no disk nope",
  );
  assertEquals([error.kind, error.side], ["refused", "destination"]);
  waiting.end();
});

Deno.test("each problem at the destination is a problem of its own", async () => {
  const destination = await fakeDestination(systemClock, {
    "query-cpus-fast": () => ({ return: [{}, {}] }),
    "query-block": () => ({ return: [] }),
  });
  const running = await qemuThat("running", destination.connect);
  assertEquals(
    (await running.check()).problems,
    [
      "the number of vCPUs is 1 at the source and 2 at the destination",
      "disk vd0 of the source has no counterpart: the destination has no disk vd0. Its disks: none",
    ].map((message) => ({ side: "destination", message })),
  );
  running.end();
  await destination.end();
});

Deno.test("a run state that prevents a migration is reported with what to do", async () => {
  const told = async (status: string, migration: object) => {
    const qemu = await qemuThat(status, undefined, migration);
    const { problems } = await qemu.check();
    qemu.end();
    return problems.map((p) => p.message).join("; ");
  };
  assertMatch(await told("postmigrate", { status: "cancelled" }), /Run the guest once/);
  assertMatch(await told("postmigrate", { status: "completed" }), /do not resume it here/);
  assertMatch(await told("io-error", {}), /expected running or paused$/);
  const own = { "socket-address": [{ type: "unix", path: "/x" }] };
  assertMatch(await told("inmigrate", own), /its own socket.*-incoming defer/);
});

Deno.test("only a running guest in TCG before QEMU 9.0 causes the single-pass warning", async () => {
  for (const [status, times] of [["running", 1], ["paused", 0], ["inmigrate", 0]] as const) {
    const qemu = await qemuThat(status, undefined, undefined, false);
    const { warnings } = await qemu.check();
    assertEquals(warnings.filter((w) => w.includes("--max-downtime does not apply")).length, times);
    qemu.end();
  }
});
