import { assertEquals, assertRejects } from "@std/assert";
import { RememberingVirsh, VirshError } from "../../src/libvirt/mod.ts";
import { FakeProgram } from "./fake_program.ts";

Deno.test("a virsh that remembers asks nothing twice, not even while the answer is on its way", async () => {
  const program = new FakeProgram({ "capabilities": "<x/>", "list --uuid": "a\n" });
  const virsh = new RememberingVirsh({ run: program.run, uri: "qemu:///system" });
  const both = [virsh.ask(["capabilities"]), virsh.ask(["capabilities"])];
  assertEquals(await Promise.all(both), ["<x/>", "<x/>"]);
  assertEquals([await virsh.ask(["capabilities"]), await virsh.ask(["list", "--uuid"])], [
    "<x/>",
    "a\n",
  ]);
  assertEquals(program.started.length, 2);
});

Deno.test("a virsh that remembers asks again after a failure", async () => {
  let count = 0;
  const virsh = new RememberingVirsh({
    run: () => Promise.resolve({ code: count++ === 0 ? 1 : 0, stdout: "a\n", stderr: "" }),
    uri: "qemu:///system",
  });
  await assertRejects(() => virsh.ask(["list"]), VirshError);
  assertEquals(await virsh.ask(["list"]), "a\n");
});
