import { assertEquals } from "@std/assert";
import { migrationBlockers } from "../../../src/migrate/guest/blockers.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

Deno.test("blockers are those of a move to another host, and the mode that was left stays", async () => {
  const left = await ask("cpr-transfer");
  assertEquals(left, { blockers: ["of normal"], modes: ["normal", "cpr-transfer"] });
});

Deno.test("the mode of a migration that is under way is not touched", async () => {
  const active = await ask("cpr-transfer", "active");
  assertEquals(active, { blockers: ["of cpr-transfer"], modes: [] });
});

Deno.test("a QEMU without modes, or with the normal one, is only asked", async () => {
  assertEquals(await ask(undefined), { blockers: ["of undefined"], modes: [] });
  assertEquals(await ask("normal"), { blockers: ["of normal"], modes: [] });
});

async function ask(mode: string | undefined, status = "none") {
  const modes: unknown[] = [];
  let now: unknown = mode;
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, {
    "query-migrate": () => ({ return: { status, "blocked-reasons": [`of ${now}`] } }),
    "query-migrate-parameters": () => ({ return: mode === undefined ? {} : { mode: now } }),
    "migrate-set-parameters": ({ mode }) => {
      modes.push(now = mode);
      return { return: {} };
    },
  });
  const blockers = await migrationBlockers(await QmpClient.open(ours));
  qemu.close();
  return { blockers, modes };
}
