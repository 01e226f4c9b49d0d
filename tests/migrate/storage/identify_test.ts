import { assertEquals } from "@std/assert";
import { silentLogger, systemClock } from "../../../src/io/mod.ts";
import { identifyDisks } from "../../../src/migrate/storage/identify.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

Deno.test("a relative path is looked up in the directory of QEMU's own process", async () => {
  assertEquals(await pathsOf("images/a.raw"), ["/proc/4711/cwd/images/a.raw"]);
  assertEquals(await pathsOf("/vm/a.raw"), ["/vm/a.raw"]);
});

Deno.test("a relative path is not looked up where QEMU's process is not known", async () => {
  assertEquals(await pathsOf("images/a.raw", null), []);
});

/** The paths that the host is asked for; a file has a key and keeps the name that QEMU has for it. */
async function pathsOf(filename: string, thread: number | null = 4711): Promise<readonly string[]> {
  const [ours, theirs] = memoryPipe();
  new FakeQemu(theirs, {
    "query-named-block-nodes": () => ({
      return: [{ "node-name": "n", drv: "file", file: filename, ro: false }],
    }),
    "x-debug-query-block-graph": () => ({ return: { nodes: [], edges: [] } }),
    "query-cpus-fast": () => ({ return: thread === null ? [] : [{ "thread-id": thread }] }),
  });
  const qmp = await QmpClient.open(ours, { clock: systemClock, log: silentLogger });
  let asked: readonly string[] = [];
  const { disks } = await identifyDisks(qmp, ["n"], (paths) => {
    asked = paths;
    const file = { device: "8:1", inode: "5", mount: undefined, block: undefined };
    return Promise.resolve({
      ...{ bootId: "one", network: "", addresses: [] },
      files: paths.map(() => file),
    });
  });
  const [node] = disks[0]!.nodes;
  assertEquals(node!.address, filename);
  assertEquals(node!.keys.length, asked.length);
  qmp.close();
  return asked;
}
