import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { DeadlineError } from "../../src/io/mod.ts";
import { clientVersion, Virsh, VirshError } from "../../src/libvirt/mod.ts";
import { FakeProgram } from "./fake_program.ts";

const URI = "qemu:///system";

Deno.test("virsh gets its URI before the command, and each argument as it is", async () => {
  const program = new FakeProgram({ "domid --domain a b": "7\n" });
  const virsh = new Virsh({ run: program.run, uri: URI });
  const options = { timeoutMs: 5, input: "x" };
  assertEquals(await virsh.call(["domid", "--domain", "a b"], options), "7\n");
  assertEquals(program.calls, [{
    argv: ["virsh", "--quiet", "--connect", URI, "domid", "--domain", "a b"],
    options,
  }]);
});

Deno.test("an error has libvirt's text whole, all lines, without the prefix", async () => {
  const stderr = "error: failed to get pool 'x'\nerror: Storage pool not found: no storage pool\n" +
    "hint: error: stays\n\n";
  const program = new FakeProgram({ "pool-info --pool x": { code: 1, stderr } });
  const virsh = new Virsh({ run: program.run, uri: URI });
  const error = await assertRejects(() => virsh.call(["pool-info", "--pool", "x"]), VirshError);
  assertEquals(
    error.text,
    "failed to get pool 'x'\nStorage pool not found: no storage pool\nhint: error: stays",
  );
  assertEquals(error.failure, "failed");
  assertEquals(error.args, ["pool-info", "--pool", "x"]);
});

Deno.test("a virsh that fails without a word is reported by its exit code", async () => {
  const program = new FakeProgram({ "list": { code: 137, stderr: "" } });
  const virsh = new Virsh({ run: program.run, uri: URI });
  const error = await assertRejects(() => virsh.call(["list"]), VirshError);
  assertEquals(error.text, "exit code 137");
});

Deno.test("a host without virsh is an error of its own kind", async () => {
  const { run } = new FakeProgram({});
  const virsh = new Virsh({ run, uri: URI });
  for (const call of [() => virsh.call(["list"]), () => clientVersion(run)]) {
    assertEquals((await assertRejects(call, VirshError)).failure, "not-found");
  }
});

Deno.test("a deadline and an abort come through as they are", async () => {
  for (const reason of [new DeadlineError("late"), new Error("cancelled")]) {
    const virsh = new Virsh({ run: () => Promise.reject(reason), uri: URI });
    assertStrictEquals(await assertRejects(() => virsh.call(["list"])), reason);
  }
});

Deno.test("the client's version needs no connection", async () => {
  const program = new FakeProgram({ "virsh --version": "9.0.0\n" });
  assertEquals(await clientVersion(program.run), "9.0.0");
});
