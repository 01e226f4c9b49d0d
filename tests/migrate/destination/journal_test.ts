import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import type { DestinationRecord } from "../../../src/migrate/journal.ts";
import { cancelled, loaded, say } from "./support.ts";

const FULL = "No space left on device";

/** A journal that cannot say one of these states until it is mended. */
function brokenFor(...states: DestinationRecord["state"][]) {
  let mended = false;
  return {
    onWrite: ({ state }: DestinationRecord) =>
      states.includes(state) && !mended ? Promise.reject(new Error(FULL)) : Promise.resolve(),
    mend: () => mended = true,
  };
}

Deno.test("a journal that cannot be written keeps QEMU from getting cont, until finish is asked again", async () => {
  let full = false;
  const { one, qemu, migration, end } = await loaded({
    onWrite: () => full ? Promise.reject(new Error("No space left on device")) : Promise.resolve(),
  });
  full = true;
  await assertRejects(() => one.finish(true), RpcError, "No space left on device");
  assertEquals(qemu.count("cont"), 0);
  assertEquals((await one.status("one")).state, "loaded");
  full = false;
  assertEquals(await one.finish(true), { status: "running" });
  assertEquals(qemu.count("cont"), 1);
  await migration.outcome();
  await one.close();
  await end();
});

Deno.test("a journal that cannot say failed does not keep the guest from being given up", async () => {
  const journal = brokenFor("failed");
  const { one, qemu, migration, end } = await loaded(journal);
  await one.abort(cancelled("Ctrl-C"));
  await assertRejects(() => migration.outcome(), MigrationError, "Ctrl-C");
  assertEquals([qemu.count("cont"), qemu.count("quit")], [0, 1]);
  assertEquals((await assertRejects(() => one.finish(true), RpcError)).code, "not-started");
  await one.close();
  await end();
});

Deno.test("a journal that cannot say finished keeps the answer back, but neither the guest nor its cont", async () => {
  const journal = brokenFor("finished");
  const destination = await loaded({
    ...journal,
    commands: {
      "cont": () => {
        say(destination.qemu, "RESUME");
        destination.qemu.status = "running";
        return { return: {} };
      },
    },
  });
  const { one, qemu, written, migration, end } = destination;
  await assertRejects(() => one.finish(true), RpcError, FULL);
  assertEquals([written.at(-1)?.state, qemu.count("quit")], ["starting", 0]);
  // The guest runs here: a source that hears "undone" would run it too.
  await assertRejects(() => one.abort(cancelled("Ctrl-C")), RpcError, "handed over already");
  journal.mend();
  assertEquals(await one.finish(true), { status: "running" });
  assertEquals([written.at(-1)?.state, qemu.count("cont")], ["finished", 1]);
  await migration.outcome();
  await one.close();
  await end();
});
