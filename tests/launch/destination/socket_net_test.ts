import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { qmpServers } from "../../../src/cli/host/find_qemu.ts";
import { runProgram } from "../../../src/cli/host/run_program.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { LaunchLab } from "./launch_lab.ts";

Deno.test("a socket where QEMU makes its own is refused, served or not", async () => {
  await using lab = await LaunchLab.make();
  await Deno.mkdir(`${lab.dir}/run`);
  const path = `${lab.dir}/run/qmp.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const served = await assertRejects(() => lab.prepare(), RpcError);
  // Deno would remove it.
  await Deno.rename(path, `${path}.kept`);
  listener.close();
  await Deno.rename(`${path}.kept`, path);
  const stale = await assertRejects(() => lab.prepare(), RpcError);
  assertEquals([served.code, stale.code], ["socket-in-use", "socket-in-use"]);
  assertStringIncludes(served.message, "A process serves");
});

Deno.test("a launch is refused while another one makes the same QMP socket", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  lab.rivals = ["m0"];
  const error = await assertRejects(() => lab.prepare(), RpcError);
  assertEquals(error.code, "socket-in-use");
  assertEquals([await lab.files(), lab.record.state], [before, "undone"]);
  lab.rivals = [];
  await lab.prepare();
});

Deno.test("a QMP socket that another QEMU made after the preparation stays with it", async () => {
  await using lab = await LaunchLab.make();
  await lab.prepare();
  using listener = Deno.listen({ transport: "unix", path: `${lab.dir}/run/qmp.sock` });
  const { ino } = await Deno.lstat(`${lab.dir}/run/qmp.sock`);
  const error = await assertRejects(() => lab.launch(), RpcError);
  assertEquals(error.code, "socket-in-use");
  assertEquals((await Deno.lstat(`${lab.dir}/run/qmp.sock`)).ino, ino);
  assertEquals([await lab.pid(), listener.addr.transport], [undefined, "unix"]);
});

Deno.test("the QEMU that has accepted a connection is known, one that only listens is not", async () => {
  await using lab = await LaunchLab.make();
  await lab.prepare();
  await lab.launch();
  const { qmp } = lab.qemu!;
  // Its last client may not be gone yet.
  while ((await qmpServers(runProgram, qmp)).length > 0) { /* not yet */ }
  using _client = await lab.greeted();
  const pid = await lab.pid();
  assertEquals((await qmpServers(runProgram, qmp)).map(([own]) => own), [pid]);
});

Deno.test("a launch whose QMP socket another QEMU answers on is refused", async () => {
  await using lab = await LaunchLab.make("login", (host) => ({
    ...host,
    serversOf: () => Promise.resolve([[1]]),
  }));
  const before = await lab.files();
  await lab.prepare();
  const { code, message } = await assertRejects(() => lab.launch(), RpcError);
  assertEquals(code, "socket-in-use");
  assertStringIncludes(message, "Process 1 answers on");
  assertEquals([await lab.pid(), await lab.files()], [undefined, before]);
});
