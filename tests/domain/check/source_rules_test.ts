import { assertEquals, assertStringIncludes } from "@std/assert";
import { domainRefusal, type Findings } from "../../../src/domain/check/findings.ts";
import { judgeCpu, judgeMachine } from "../../../src/domain/check/machine_rules.ts";
import {
  judgeDelta,
  judgeDomain,
  judgeEnds,
  judgeNames,
  unknownDomain,
} from "../../../src/domain/check/source_rules.ts";

const UUID = "12345678-1234-4234-8234-123456789abc";
const codes = ({ problems }: Findings) => problems.map(({ code }) => code);

Deno.test("a domain that is shut off, busy or cut off is refused", () => {
  const vm = {
    ...{ name: "vm1", state: "running", reason: "booted", hasJob: false },
    ...{ blockJobs: [], hostdevs: 0, transient: [] },
  };
  assertEquals(codes(judgeDomain(vm)), []);
  assertEquals(codes(judgeDomain({ ...vm, state: "shut-off" })), ["domain-not-running"]);
  assertEquals(codes(judgeDomain({ ...vm, hasJob: true })), ["domain-busy"]);
  const paused = { ...vm, state: "paused" };
  assertEquals(codes(judgeDomain({ ...paused, reason: "user" })), []);
  assertEquals(codes(judgeDomain({ ...paused, reason: "migrating" })), ["cut-off"]);
  const blockJobs = [{ target: "vda", current: 1, end: 4 }];
  assertEquals(codes(judgeDomain({ ...vm, blockJobs })), ["domain-busy"]);
  assertEquals(codes(judgeDomain({ ...vm, transient: ["vda"] })), ["domain-not-movable"]);
});

Deno.test("an unknown domain is refused with the name that was meant", () => {
  const [problem] = unknownDomain("vm11", ["vm1", "db"]).problems;
  assertStringIncludes(problem!.message, "Did you mean vm1?");
});

Deno.test("old versions and equal host UUIDs are refused", () => {
  const ends = {
    ...{ client: "9.0.0", source: "9.0.0", destination: "11.3.0" },
    ...{ sourceUuid: "a", destinationUuid: "b" },
  };
  assertEquals(codes(judgeEnds(ends)), []);
  assertEquals(codes(judgeEnds({ ...ends, destination: "6.7.0" })), ["virsh-too-old"]);
  assertEquals(codes(judgeEnds({ ...ends, destinationUuid: "A" })), ["same-host"]);
});

Deno.test("a name or UUID that the destination uses otherwise is refused", () => {
  const judge = (name: string, uuid: string, active: boolean) =>
    codes(judgeNames({ name: "vm1", uuid: UUID }, [{ name, uuid, active }]));
  assertEquals(judge("vm1", UUID, false), []);
  assertEquals(judge("vm1", UUID, true), ["domain-exists"]);
  assertEquals(judge("old", UUID, false), ["domain-exists"]);
  assertEquals(judge("vm1", UUID.replace("1", "9"), false), ["domain-exists"]);
});

Deno.test("a machine type that the destination lacks is refused with similar ones", () => {
  const facts = {
    ...{ emulator: "/usr/bin/qemu", arch: "x86_64", machine: "pc-q35-9.9", virtType: "kvm" },
    ...{ refusal: "not supported", emulatorRefusal: null, typeRefusal: null },
    machines: ["pc-q35-7.2", "pc-q35-10.0", "virt-7.2"],
  };
  const [problem] = judgeMachine(facts).problems;
  assertStringIncludes(problem!.message, "It has pc-q35-10.0, pc-q35-7.2.");
  assertEquals(codes(judgeMachine({ ...facts, refusal: null })), []);
});

Deno.test("an incompatible CPU is refused, with --unsafe a warning", () => {
  const comparison = { result: "incompatible", text: "lacks avx512f" } as const;
  const judge = (unsafe: boolean) => judgeCpu({ mode: "custom", comparison, unsafe });
  assertEquals(codes(judge(false)), ["cpu-incompatible"]);
  assertEquals([codes(judge(true)), judge(true).warnings.length], [[], 1]);
});

Deno.test("a refusal with problems on both sides names the side of each", () => {
  const source = { code: "no-domain", side: "source", message: "a" } as const;
  const destination = { code: "no-room", side: "destination", message: "b" } as const;
  const { code, side, problems } = domainRefusal([source, destination]);
  assertEquals([code, side, problems], ["no-domain", null, ["source: a", "destination: b"]]);
  assertEquals(domainRefusal([destination]).side, "destination");
});

const sides = (tls: boolean, there?: { hashes: boolean | null }) =>
  judgeDelta({ tls }, there).problems.map(({ side, code }) => `${side} ${code}`);

Deno.test("--delta is refused where the destination's vmferry is older", () => {
  assertEquals(sides(false, { hashes: null }), ["destination unknown-procedure"]);
  assertEquals(sides(false, { hashes: true }), []);
});

Deno.test("--delta is refused where QEMU encrypts the disks itself", () => {
  assertEquals(sides(true, { hashes: true }), ["source option-refused"]);
});

Deno.test("a destination that does not answer is no problem of --delta", () => {
  assertEquals(sides(false), []);
});
