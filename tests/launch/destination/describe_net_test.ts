import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { runProgram } from "../../../src/cli/host/run_program.ts";
import type { LaunchFile, LaunchFileFacts } from "../../../src/rpc/mod.ts";
import { copyOf, LaunchLab, QEMU } from "./launch_lab.ts";

const FAST = { timeoutMs: 20_000 };

async function describe(lab: LaunchLab, file: Partial<LaunchFile>): Promise<LaunchFileFacts> {
  const all = { name: "f", path: "", role: "disk", format: "", sizeBytes: null, sha256: null };
  const files = [{ ...all, ...file } as LaunchFile];
  return (await lab.rpc.call("describeLaunchFiles", { files }, FAST)).files[0]!;
}

async function create(path: string, format: string, ...more: string[]): Promise<void> {
  const argv = ["qemu-img", "create", "-q", "-f", format, path, ...more];
  assertEquals((await runProgram(argv, FAST)).code, 0);
}

Deno.test("the destination describes its host and the QEMU that would run", async () => {
  await using lab = await LaunchLab.make();
  const ask = (binary: string, path: string, machine: string) =>
    lab.rpc.call("describeLaunchHost", { binary, path, machine, user: null }, FAST);
  const facts = await ask(QEMU, "/opt/none/qemu", "pc-q35-7.2");
  assertEquals(facts.qemu?.path, `/usr/bin/${QEMU}`);
  assert(/^\d+\.\d+\.\d+/.test(facts.qemu!.version));
  assertEquals([facts.qemu?.hasMachine, facts.refusal], [true, null]);
  assert(/^\d/.test(facts.qemuImg!));
  assertEquals((await ask(QEMU, "", "pc-q35-99.0")).qemu?.hasMachine, false);
  assertEquals((await ask("qemu-system-none", "", "")).qemu, null);
});

Deno.test("the source's path of the binary counts, unless it comes from the network", async () => {
  for (const [trust, expected] of [["login", true], ["network", false]] as const) {
    await using lab = await LaunchLab.make(trust);
    const path = `${lab.dir}/${QEMU}`;
    await Deno.symlink(`/usr/bin/${QEMU}`, path);
    const { qemu } = await lab.rpc.call(
      "describeLaunchHost",
      { binary: QEMU, path, machine: "", user: null },
      FAST,
    );
    assertEquals(qemu?.path === path, expected);
  }
});

Deno.test("a binary at the source's path that does not run here does not count", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/${QEMU}`;
  await Deno.writeTextFile(path, "#!/no/such/loader\n", { mode: 0o755 });
  const params = { binary: QEMU, path, machine: "", user: null };
  const { qemu } = await lab.rpc.call("describeLaunchHost", params, FAST);
  assertEquals(qemu?.path, `/usr/bin/${QEMU}`);
});

Deno.test("over the network no program is run only because a source names it", async () => {
  await using lab = await LaunchLab.make("network");
  const params = { binary: "sh", path: "/bin/sh", machine: "", user: null };
  const { qemu, refusal } = await lab.rpc.call("describeLaunchHost", params, FAST);
  assertEquals(qemu, null);
  assertStringIncludes(refusal!, "--launch-any");
});

Deno.test("a user that QEMU would run as must be there", async () => {
  await using lab = await LaunchLab.make();
  const ask = async (user: string) => {
    const params = { binary: QEMU, path: "", machine: "", user: { user, group: "root" } };
    return (await lab.rpc.call("describeLaunchHost", params, FAST)).userProblem;
  };
  assertEquals(await ask("root"), null);
  assertStringIncludes(await ask("nobody-of-this-host") ?? "", "no user nobody-of-this-host");
});

Deno.test("a missing file has room, and a directory or none", async () => {
  await using lab = await LaunchLab.make();
  const there = await describe(lab, { path: `${lab.dir}/a.raw` });
  assertEquals([there.state, there.directory, there.writable], ["missing", true, true]);
  assert(there.freeBytes! > 0);
  const deeper = await describe(lab, { path: `${lab.dir}/x/y/a.raw` });
  assertEquals([deeper.state, deeper.directory, deeper.writable], ["missing", false, true]);
  await Deno.writeTextFile(`${lab.dir}/file`, "");
  const beneath = await describe(lab, { path: `${lab.dir}/file/a.raw` });
  assertEquals([beneath.state, beneath.writable], ["missing", false]);
});

Deno.test("an image's format and size are those of its content", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/-a b.qcow2`;
  await create(path, "qcow2", "3M");
  const facts = await describe(lab, { path, format: "raw" });
  assertEquals([facts.state, facts.format, facts.sizeBytes], ["file", "qcow2", 3 << 20]);
  assertEquals([facts.usedBy, facts.problem], [null, null]);
  assert(facts.keys.length > 0);
});

Deno.test("a file that a process has open is in use", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/a.raw`;
  await create(path, "raw", "1M");
  await Deno.link(path, `${lab.dir}/other name`);
  using _file = await Deno.open(`${lab.dir}/other name`);
  const { usedBy } = await describe(lab, { path, format: "raw" });
  assertStringIncludes(usedBy!, `(pid ${Deno.pid})`);
});

Deno.test("a file that QEMU only reads is compared by its hash", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/code back\\slash.fd`;
  const bytes = crypto.getRandomValues(new Uint8Array(5000));
  await Deno.writeFile(path, bytes);
  const { sha256 } = await copyOf(path, bytes);
  const wanted = { path, role: "read-only", sizeBytes: 5000, sha256: "0".repeat(64) } as const;
  assertEquals((await describe(lab, wanted)).sha256, sha256);
  assertEquals((await describe(lab, { ...wanted, sizeBytes: 4999 })).sha256, null);
});

Deno.test("a path with .. is no path", async () => {
  await using lab = await LaunchLab.make();
  const { state, problem } = await describe(lab, { path: `${lab.dir}/../a` });
  assertEquals(state, "other");
  assertStringIncludes(problem!, "no absolute path");
});

Deno.test("a directory is one, and a source from the network hears where it may not write", async () => {
  await using lab = await LaunchLab.make("network");
  assertEquals((await describe(lab, { path: lab.dir, role: "directory" })).state, "directory");
  await Deno.symlink("/etc", `${lab.dir}/link`);
  const { writable, problem } = await describe(lab, { path: `${lab.dir}/link/a.raw` });
  assertEquals(writable, false);
  assertStringIncludes(problem!, "(/etc/a.raw)");
});

Deno.test("a source from the network hears of a missing file's place if it sends or has it", async () => {
  await using lab = await LaunchLab.make("network");
  const path = "/run/vmferry-test";
  const socket = await describe(lab, { path, role: "read-only" });
  assertEquals([socket.state, socket.problem], ["missing", null]);
  for (const file of [{ role: "disk" }, { role: "read-only", sha256: "0".repeat(64) }] as const) {
    const { problem } = await describe(lab, { path, ...file });
    assertStringIncludes(problem!, "/run belongs to the host");
  }
});

Deno.test("an image that another launch has made is in use, and one that it undoes is waited for", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/a.qcow2`;
  await create(path, "qcow2", "1M");
  await lab.prepare(lab.params({ images: [], reuse: [{ name: "vd0", path }] }));
  lab.others = [{ ...lab.record, name: "vm2", migration: "m2" }];
  const taken = await describe(lab, { path, format: "qcow2" });
  assertStringIncludes(taken.usedBy!, "the launch of vm2 that is under way (migration m2)");
  let asked = 0;
  const undoing = lab.others.map((record) => ({ ...record, undoing: true }));
  Object.defineProperty(lab, "others", { get: () => asked++ === 0 ? undoing : [] });
  assertEquals((await describe(lab, { path, format: "qcow2" })).usedBy, null);
  assertEquals(asked, 3);
});
