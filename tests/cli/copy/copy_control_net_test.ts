import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import type { MigrationError } from "../../../src/migrate/mod.ts";
import { matching } from "../../../src/cli/control/choice.ts";
import { ask, findMigrations } from "../../../src/cli/control/client.ts";
import { ControlError } from "../../../src/cli/control/protocol.ts";
import { StatusBoard } from "../../../src/cli/control/status_board.ts";
import { controlCopy, CopyControl } from "../../../src/cli/copy/copy_control.ts";
import type { CopyEvent } from "../../../src/cli/output/events.ts";
import { statusLines } from "../../../src/cli/output/status_lines.ts";

const CANCELLED: CopyEvent = {
  ...{ event: "copy", side: "source", outcome: "cancelled", images: [], totalMs: 1, bytes: 1 },
  ...{ error: null, next: [] },
};

Deno.test("a running copy is found, shown, not changed, and cancelled to its end", async () => {
  const base = await Deno.makeTempDir();
  try {
    const runDir = `${base}/run-1`;
    await Deno.mkdir(runDir);
    await using control = new CopyControl(() => {}, silentLogger);
    const reasons: MigrationError[] = [];
    const images = ["/vm/a.img", "/vm/b.img"];
    const socket = `${runDir}/control.sock`;
    await control.serve(socket, { role: "source", runDir, images }, {
      ...{ cancel: (reason) => reasons.push(reason), bandwidth: 2 ** 20 },
    });
    control.report({ event: "phase", phase: "copy" });

    const { found } = await findMigrations(base);
    assertEquals(found.map(({ status }) => [status.copy, status.phase, status.qmp]), [
      [images, "copy", ""],
    ]);
    assertEquals(matching(found, { qmp: undefined, name: "/vm/b.img" }).length, 1);
    assertEquals(matching(found, { qmp: undefined, name: "/vm/c.img" }).length, 0);
    const [head, ...lines] = statusLines(found[0]!.status).split("\n");
    assertEquals(head, `copy /vm/a.img /vm/b.img, process ${Deno.pid}`);
    assertEquals(lines[1], "  rate 0 B/s, limit 1.00 MiB/s");

    const set = ask(socket, { command: "set", bandwidth: 5 }, 5000);
    await assertRejects(() => set, ControlError, "--resume");

    const ended = ask(socket, { command: "cancel" }, 5000);
    while (reasons.length === 0) await ask(socket, { command: "status" }, 5000);
    assertEquals([reasons[0]!.kind, reasons[0]!.side], ["cancelled", "source"]);
    control.end(CANCELLED);
    await control[Symbol.asyncDispose]();
    assertEquals(await ended, { ...CANCELLED });
    assertEquals(reasons.length, 1);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
});

Deno.test("a copy that has ended is not cancelled", () => {
  const board = new StatusBoard();
  const identity = {
    ...{ role: "source" as const, pid: 1, runDir: "/run/1", qmp: "", copy: ["/vm/a.img"] },
    guest: { name: null, uuid: null },
  };
  let cancelled = false;
  const end = { cancel: () => void (cancelled = true), bandwidth: null };
  const controlled = controlCopy(board, identity, end);
  board.note(CANCELLED);
  assertThrows(() => controlled.cancel(), ControlError, "has ended");
  assertEquals(cancelled, false);
});
