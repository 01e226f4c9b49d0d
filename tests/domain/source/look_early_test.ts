import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { EarlyLook } from "../../../src/domain/source/look_early.ts";
import { silentLogger } from "../../../src/io/mod.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { type FakeAnswers, FakeProgram } from "../../libvirt/fake_program.ts";

const UUID = "12345678-1234-4234-8234-123456789abc";
const ANSWERS: FakeAnswers = {
  "list --uuid": `${UUID}\n`,
  "list --all --uuid --name": `${UUID} vm1\n`,
  "list --all --uuid": `${UUID}\n`,
  "version --daemon": "Using library: libvirt 9.0.0\n",
  "capabilities": "<capabilities/>",
  [`domstats --raw --state --domain ${UUID}`]: "state.state=1\nstate.reason=1\n",
  [`domjobinfo --rawstats --domain ${UUID}`]: "Job type: 0\n",
  [`dumpxml --domain ${UUID}`]: `<domain type="kvm"><name>vm1</name><uuid>${UUID}</uuid>
    <memory>1</memory><os><type machine="pc">hvm</type></os><devices>
    <disk device="disk"><target dev="vda"/></disk>
    <disk device="cdrom"><target dev="sda"/></disk></devices></domain>`,
  [`blockjob --raw --domain ${UUID} --path vda`]: "",
};

function look(answers: FakeAnswers, name = "vm1") {
  const program = new FakeProgram(answers);
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const host = { run: program.run };
  const early = new EarlyLook({
    ...{ name, uri: "qemu:///system", clock, log: silentLogger, signal, host },
  });
  return { early, program, clock };
}

Deno.test("the early look asks everything of a running domain, each once", async () => {
  const { early, program } = look(ANSWERS);
  await early.ended;
  assertEquals(early.found, { uuid: UUID, name: "vm1", active: true });
  assertEquals(
    program.calls.map(({ argv }) => argv.slice(4).join(" ")).sort(),
    Object.keys(ANSWERS).sort(),
  );
  const { started } = program;
  await early.virsh.ask(["capabilities"]);
  assertEquals(started.length, program.started.length);
});

Deno.test("an early look that fails in the middle is no failure", async () => {
  const { early } = look({ ...ANSWERS, [`dumpxml --domain ${UUID}`]: "<x/>" });
  await early.ended;
  assertEquals(early.found?.name, "vm1");
  const unknown = look(ANSWERS, "vm2");
  await unknown.early.ended;
  assertEquals(unknown.early.found, undefined);
});

Deno.test("the early answers hold for three seconds", async () => {
  const { early, clock } = look(ANSWERS);
  await early.ended;
  const known = early.virsh;
  await clock.advance(2_999);
  assertStrictEquals(early.virsh, known);
  await clock.advance(1);
  assert(early.virsh !== known);
});
