import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { activateArrived } from "../../../src/migrate/guest/activate.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { type Commands, FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const ok = () => ({ return: {} });
const error = (desc: string) => () => ({ error: { class: "GenericError", desc } });

/** The commands that change anything, as a guest in `status` is activated. */
async function activate(status: string, migration: string, more: Commands = {}): Promise<string[]> {
  const [ours, theirs] = memoryPipe();
  const inserted = { "node-name": "cd", ro: true, drv: "raw", image: { "virtual-size": 1 } };
  const fake = new FakeQemu(theirs, {
    "query-migrate": () => ({ return: migration === "none" ? {} : { status: migration } }),
    "query-block": () => ({ return: [{ device: "", qdev: "cd0", inserted }, { device: "empty" }] }),
    "query-named-block-nodes": () => ({
      return: ["cd", "spare", "#block001"].map((name) => ({ "node-name": name })),
    }),
    ...{ "nbd-server-start": ok, "nbd-server-stop": ok },
    ...{ "block-export-add": ok, "block-export-del": ok },
    ...more,
  });
  await using qmp = await QmpClient.open(ours);
  await activateArrived({
    ...{ qmp, status, socketPath: "/run/x/activate.sock", log: silentLogger },
    removeFile: () => Promise.resolve(),
  });
  return fake.received.map(({ command, args }) =>
    command === "block-export-add" ? `${command} ${args["node-name"]} ${args.writable}` : command
  ).filter((command) => /^(nbd|block-export)/.test(command));
}

const BOTH = [
  ...["block-export-add cd false", "block-export-del"],
  ...["block-export-add spare false", "block-export-del"],
];

Deno.test("every node of a guest that arrived paused is exported read-only, and the export removed", async () => {
  assertEquals(await activate("paused", "completed"), [
    ...["nbd-server-start", ...BOTH, "nbd-server-stop"],
  ]);
});

Deno.test("nothing is activated for a guest that runs or never migrated, or from QEMU 10.0 on", async () => {
  assertEquals(await activate("running", "completed"), []);
  assertEquals(await activate("paused", "none"), []);
  const commands = { return: [{ name: "blockdev-set-active" }] };
  assertEquals(await activate("paused", "completed", { "query-commands": () => commands }), []);
});

Deno.test("activation uses an NBD server that runs already, and leaves it running", async () => {
  const running = { "nbd-server-start": error("NBD server already running") };
  assertEquals(await activate("paused", "completed", running), ["nbd-server-start", ...BOTH]);
});

Deno.test("a disk that cannot be activated is refused by name, with what to do", async () => {
  const locked = { "block-export-add": error('Failed to get "write" lock') };
  const refused = await assertRejects(
    () => activate("paused", "completed", locked),
    MigrationError,
  );
  assertEquals([refused.kind, refused.code], ["refused", "disk-inactive"]);
  assertEquals(
    /disk cd0: Failed to get "write" lock\. Run the guest once/.test(refused.message),
    true,
  );
});
