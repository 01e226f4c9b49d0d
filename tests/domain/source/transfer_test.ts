import { assertEquals } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { Virsh } from "../../../src/libvirt/mod.ts";
import { Limits, MigrationError, type MigrationEvent } from "../../../src/migrate/mod.ts";
import { VirshRun } from "../../../src/domain/source/run/virsh_run.ts";
import { Transfer } from "../../../src/domain/source/transfer.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { FakeLibvirt, FakeProgram } from "./support.ts";

const { UUID } = FakeLibvirt;
const RAM = "memory_total: 1000\nmemory_remaining: 500\nmemory_iteration: 1\n";

function transferring(limits = new Limits(null, 300)) {
  const clock = new ManualClock();
  const libvirt = new FakeLibvirt();
  const events: MigrationEvent[] = [];
  const stop = new AbortController();
  const program = new FakeProgram();
  const relay = { freeze: () => {} };
  const run = new VirshRun({ relay, clock, onCut: () => {} });
  const transfer = new Transfer(run, {
    virsh: new Virsh({ run: libvirt.run, uri: "qemu:///system" }),
    ...{ uuid: UUID, wasPaused: false, limits, clock, log: silentLogger, signal: stop.signal },
    disks: [{ name: "vda", sizeBytes: 4096 }],
    ...{ carried: () => 0, bytes: () => 0, report: (event: MigrationEvent) => events.push(event) },
  });
  const ended = transfer.run(() => program, ["virsh"]);
  const phases = () => events.flatMap((event) => event.event === "phase" ? [event.phase] : []);
  const warnings = () => events.flatMap((event) => event.event === "warning" ? [event.code] : []);
  return { clock, libvirt, events, stop, program, run, transfer, ended, phases, warnings };
}

Deno.test("the phases of libvirt's migration are reported in order, each once", async () => {
  const { clock, libvirt, program, ended, phases, transfer } = transferring();
  libvirt.job = 2;
  await clock.advance(2_000);
  assertEquals(phases(), ["mirror"]);
  libvirt.stats = RAM;
  await clock.advance(2_000);
  assertEquals(phases(), ["mirror", "ram"]);
  libvirt.state = [3, 2];
  await clock.advance(2_000);
  assertEquals(phases(), ["mirror", "ram", "switchover"]);
  transfer.finishing();
  await clock.advance(2_000);
  program.end(0);
  assertEquals((await ended).code, 0);
  assertEquals(phases(), ["mirror", "ram", "switchover", "handover"]);
});

Deno.test("a handover that no look has seen coming is reported with the phases before it", async () => {
  const { clock, program, ended, phases, transfer } = transferring();
  await clock.advance(100);
  transfer.finishing();
  program.end(0);
  await ended;
  assertEquals(phases(), ["mirror", "ram", "switchover", "handover"]);
});

Deno.test("a look takes one virsh, in each phase", async () => {
  const { clock, libvirt, program, ended } = transferring();
  libvirt.job = 2;
  libvirt.blockJob = "cur=1\nend=2\n";
  await clock.advance(2_000);
  for (const stats of ["", RAM]) {
    libvirt.stats = stats;
    await clock.advance(2_000);
    const before = libvirt.started;
    await clock.advance(10_000);
    assertEquals(libvirt.started - before, 10);
  }
  program.end(0);
  await ended;
});

Deno.test("a disk that cannot be looked at does not hide the end", async () => {
  const { clock, libvirt, program, ended, phases } = transferring();
  libvirt.job = 2;
  await clock.advance(2_000);
  libvirt.failing.set("blockjob", "domain is not running");
  libvirt.job = 3;
  await clock.advance(2_000);
  assertEquals(phases().at(-1), "handover");
  program.end(0);
  await ended;
});

Deno.test("queries that fail do not end the migration", async () => {
  const { clock, libvirt, program, ended, phases } = transferring();
  libvirt.failing.set("domjobinfo", "cannot acquire state change lock");
  await clock.advance(30_000);
  libvirt.failing.clear();
  libvirt.job = 2;
  libvirt.stats = RAM;
  await clock.advance(2_000);
  assertEquals(phases(), ["mirror", "ram"]);
  program.end(0);
  assertEquals((await ended).code, 0);
});

Deno.test("libvirt gets the downtime when it begins, and the bandwidth when RAM crosses", async () => {
  const { clock, libvirt, program, ended, transfer } = transferring(new Limits(50 * 2 ** 20, 700));
  libvirt.job = 2;
  await clock.advance(2_000);
  const downtime = `migrate-setmaxdowntime --domain ${UUID} --downtime 700`;
  assertEquals(libvirt.changes, [downtime]);
  libvirt.stats = RAM;
  await clock.advance(2_000);
  assertEquals(libvirt.changes.slice(1), [
    `migrate-setspeed --domain ${UUID} --bandwidth 50`,
    downtime,
  ]);
  program.end(1);
  await ended;
  await transfer.restoreLimits();
  assertEquals(
    libvirt.changes.at(-1),
    `migrate-setspeed --domain ${UUID} --bandwidth ${libvirt.speed}`,
  );
});

Deno.test("a cancel asks libvirt until virsh has ended", async () => {
  const { clock, libvirt, program, ended, stop, run } = transferring();
  await clock.advance(100);
  libvirt.failing.set("domjobabort", "no job is active on the domain");
  stop.abort(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
  await clock.advance(1_500);
  libvirt.failing.clear();
  await clock.advance(1_000);
  assertEquals(libvirt.changes, [`domjobabort --domain ${UUID}`]);
  program.end(1);
  await clock.advance(1_000);
  await ended;
  assertEquals(run.cutReason, undefined);
});

Deno.test("a migration that libvirt does not cancel is cut", async () => {
  const { clock, libvirt, ended, stop, run } = transferring();
  await clock.advance(100);
  libvirt.failing.set("domjobabort", "timed out");
  stop.abort(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
  await clock.advance(70_000);
  assertEquals((await ended).code, 137);
  assertEquals((run.cutReason as MigrationError).code, "domain-failed");
});

Deno.test("a cancel during the handover changes nothing", async () => {
  const { clock, libvirt, program, ended, stop, transfer, warnings } = transferring();
  await clock.advance(100);
  transfer.finishing();
  stop.abort(new MigrationError("failed", "timeout", "source", "Not done"));
  await clock.advance(5_000);
  program.end(0);
  await ended;
  assertEquals(libvirt.changes, []);
  assertEquals(warnings(), ["too-late"]);
});

Deno.test("a pause that was asked for comes once the disks were copied, and only once", async () => {
  const { clock, libvirt, program, ended, transfer, warnings } = transferring();
  libvirt.job = 2;
  transfer.suspend("Asked for");
  libvirt.blockJob = " type=Block Copy\n bandwidth=0\n cur=1024\n end=4096\n";
  await clock.advance(3_000);
  assertEquals(libvirt.changes.filter((change) => change.startsWith("suspend")), []);
  libvirt.blockJob = " type=Block Copy\n bandwidth=0\n cur=4096\n end=4096\n";
  await clock.advance(3_000);
  transfer.suspend("Asked for again");
  await clock.advance(1_000);
  const suspends = libvirt.changes.filter((change) => change.startsWith("suspend"));
  assertEquals(suspends, [`suspend --domain ${UUID}`]);
  assertEquals(warnings(), ["guest-suspended"]);
  program.end(0);
  await ended;
});
