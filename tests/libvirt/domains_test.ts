import { assertEquals, assertRejects } from "@std/assert";
import {
  blockJob,
  domainState,
  findDomain,
  jobInfo,
  listDomains,
  Virsh,
  VirshError,
} from "../../src/libvirt/mod.ts";
import { type FakeAnswers, FakeProgram } from "./fake_program.ts";

const A = "2c4ccd82-8365-405c-9db6-75276718d965";
const B = "abcdef01-2345-4789-8abc-def012345678";
const NAME = 'größe 2 – "web" & ‘db’ 🙂';
const LISTS = {
  "list --uuid": `${A}\n`,
  "list --all --uuid": `${A}\n${B}\n`,
  "list --all --uuid --name": `${A} 12\n${B} ${NAME}\n`,
};

const virshWith = (answers: FakeAnswers) =>
  new Virsh({ run: new FakeProgram(answers).run, uri: "qemu:///system" });

Deno.test("the list has names with spaces and of any script", async () => {
  assertEquals(await listDomains(virshWith(LISTS)), [
    { uuid: A, name: "12", active: true },
    { uuid: B, name: NAME, active: false },
  ]);
});

Deno.test("names that an older virsh pads to a column lose the padding", async () => {
  const padded = {
    "list --uuid": "\n",
    "list --all --uuid --name": `${A} vm1                  \n\n`,
  };
  assertEquals(await listDomains(virshWith(padded)), [{ uuid: A, name: "vm1", active: false }]);
});

Deno.test("a domain is found by its UUID, its name and its id", async () => {
  const virsh = virshWith({ ...LISTS, [`domid --domain ${A}`]: "4\n" });
  const found = async (text: string) => (await findDomain(virsh, text))?.uuid;
  assertEquals(await found(B), B);
  assertEquals(await found(B.toUpperCase()), B);
  assertEquals(await found(NAME), B);
  assertEquals(await found("4"), A);
  assertEquals(await found("12"), A);
  assertEquals(await found("5"), undefined);
  assertEquals(await found("größe"), undefined);
});

Deno.test("an id comes before a name of the same digits, as with virsh", async () => {
  const virsh = virshWith({
    "list --uuid": `${A}\n${B}\n`,
    "list --all --uuid --name": `${A} 12\n${B} other\n`,
    [`domid --domain ${A}`]: "3\n",
    [`domid --domain ${B}`]: "12\n",
  });
  assertEquals((await findDomain(virsh, "12"))?.uuid, B);
});

Deno.test("a libvirt that does not answer is no missing domain", async () => {
  const broken = { code: 1, stderr: "error: failed to connect to the hypervisor\n" };
  const virsh = virshWith({
    "list --uuid": broken,
    "list --all --uuid": broken,
    "list --all --uuid --name": broken,
    [`domstats --raw --state --domain ${A}`]: broken,
  });
  await assertRejects(() => findDomain(virsh, "vm1"), VirshError, "failed to connect");
  await assertRejects(() => domainState(virsh, A), VirshError, "failed to connect");
});

Deno.test("a state comes from libvirt's numbers", async () => {
  const cases: readonly [number, number, string, string][] = [
    [1, 1, "running", "booted"],
    [1, 2, "running", "migrated"],
    [1, 6, "running", "migration canceled"],
    [2, 0, "running", "unknown"],
    [3, 2, "paused", "migrating"],
    [3, 1, "paused", "user"],
    [3, 12, "paused", "post-copy"],
    [4, 0, "other", "unknown"],
    [5, 4, "shut-off", "migrated"],
    [6, 1, "other", "panicked"],
    [7, 0, "other", "unknown"],
    [3, 99, "paused", "unknown"],
  ];
  for (const [number, reasonNumber, state, reason] of cases) {
    const stats =
      `Domain: 'state.state=1'\n  state.state=${number}\n  state.reason=${reasonNumber}\n\n`;
    const virsh = virshWith({ ...LISTS, [`domstats --raw --state --domain ${A}`]: stats });
    assertEquals(await domainState(virsh, A), { state, reason }, `${number} ${reasonNumber}`);
  }
});

Deno.test("a domain that is in no list is absent, also one that goes while it is looked at", async () => {
  const absent = { state: "absent" as const, reason: "" };
  const listed = virshWith({
    "list --all --uuid": `${B}\n`,
    [`domstats --raw --state --domain ${A}`]: { code: 1, stderr: "error: Domain not found\n" },
  });
  assertEquals(await domainState(listed, A), absent);
  const lists = [`${A}\n`, "\n"];
  const virsh = new Virsh({
    uri: "qemu:///system",
    run: (argv) =>
      Promise.resolve(
        argv.includes("list")
          ? { code: 0, stdout: lists.shift()!, stderr: "" }
          : { code: 1, stdout: "", stderr: "error: Domain not found\n" },
      ),
  });
  assertEquals(await domainState(virsh, A), absent);
  assertEquals(lists, []);
});

Deno.test("a virsh without --rawstats is asked for its table", async () => {
  const virsh = virshWith({
    [`domjobinfo --rawstats --domain ${A}`]: { code: 1, stderr: "error: no such option\n" },
    [`domjobinfo --domain ${A}`]: "Job type:         Unbounded   \nTime elapsed:     31  ms\n",
  });
  const { type, elapsedMs } = await jobInfo(virsh, A);
  assertEquals([type, elapsedMs], ["unbounded", 31]);
});

Deno.test("a job that cannot be looked at is an error", async () => {
  const failed = { code: 1, stderr: "error: domain is not running\n" };
  const virsh = virshWith({
    [`domjobinfo --rawstats --domain ${A}`]: failed,
    [`domjobinfo --domain ${A}`]: failed,
  });
  await assertRejects(() => jobInfo(virsh, A), VirshError, "domain is not running");
});

Deno.test("a block job has its numbers, and a disk without a job has none", async () => {
  const command = (target: string) => `blockjob --raw --domain ${A} --path ${target}`;
  const virsh = virshWith({
    [command("vda")]: " type=Block Copy\n bandwidth=1\n cur=33554432\n end=67108864\n\n",
    [command("vdb")]: "\n",
  });
  assertEquals(await blockJob(virsh, A, "vda"), { current: 33554432, end: 67108864 });
  assertEquals(await blockJob(virsh, A, "vdb"), undefined);
});
