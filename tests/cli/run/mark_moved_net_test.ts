import { assertEquals } from "@std/assert";
import { markMoved } from "../../../src/cli/run/mark_moved.ts";

const GUEST = { name: "vm1", uuid: null, qmpPaths: ["/run/vm1.qmp"] };

async function kept(stateDir: string, name: string, qmp: string): Promise<void> {
  await Deno.mkdir(`${stateDir}/${name}`);
  const argv = ["qemu-system-x86_64", "-qmp", `unix:${qmp},server=on,wait=off`];
  const json = JSON.stringify({ guest: { name: "vm1", uuid: null }, argv });
  await Deno.writeTextFile(`${stateDir}/${name}/command.json`, json);
}

Deno.test("the kept command line of a guest that has left is marked, others are not", async () => {
  const stateDir = await Deno.makeTempDir();
  try {
    await kept(stateDir, "vm1", "/run/vm1.qmp");
    // Another guest with the same name.
    await kept(stateDir, "vm1-1a2b3c4d", "/run/other.qmp");
    await Deno.mkdir(`${stateDir}/log`);
    const marked = await markMoved(stateDir, GUEST, "This guest was moved");
    assertEquals(marked, [`${stateDir}/vm1/moved`]);
    assertEquals(await Deno.readTextFile(marked[0]!), "This guest was moved\n");
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});

Deno.test("a host that never was a destination has nothing to mark", async () => {
  assertEquals(await markMoved("/nonexistent/vmferry", GUEST, ""), []);
});
