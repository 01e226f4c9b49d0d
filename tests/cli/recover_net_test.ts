import { assertEquals, assertRejects } from "@std/assert";
import { JournalFile } from "../../src/cli/run/journal_file.ts";
import type { DestinationRecord, JournalRecord, SourceRecord } from "../../src/migrate/mod.ts";
import { type Commands, FakeQemu } from "../support/fake_qemu.ts";
import { inDirectory } from "../support/in_directory.ts";
import { vmferry } from "../support/program.ts";

const recordOf = (qmp: string): SourceRecord => ({
  ...{ format: 2, side: "source", migration: "m", qmp, guest: "vm1", state: "switchover" },
  ...{
    wasRunning: true,
    stopped: "no",
    asleep: null,
    qemu: null,
    left: null,
    multifd: null,
    postcopy: null,
    verifies: null,
    destination: "tcp://h:1",
    recoverThere: "",
    mirrors: [],
  },
  settings: { capabilities: [], parameters: {} },
});

/** Answers of a QEMU whose guest has crossed, or is paused at the end. */
const STANDS: Commands = {
  "query-status": () => ({ return: { status: "postmigrate", running: false, singlestep: false } }),
  "query-migrate": () => ({ return: { status: "completed" } }),
  "query-jobs": () => ({ return: [] }),
  "query-named-block-nodes": () => ({ return: [] }),
  "query-block-jobs": () => ({ return: [] }),
};

interface Told {
  readonly verdict: unknown;
  readonly state: unknown;
}

/** Runs `recover --yes` over a QEMU that somebody else has until `meanwhile` is over. */
async function recoverAfter(
  meanwhile: (journal: JournalFile, run: string, record: SourceRecord) => Promise<void>,
): Promise<{ told: Told; commands: string[] }> {
  let outcome: { told: Told; commands: string[] } | undefined;
  await inDirectory(async (base) => {
    const [run, path] = [`${base}/run-1`, `${base}/qmp.sock`];
    await Deno.mkdir(run, { mode: 0o700 });
    await Deno.chmod(base, 0o700);
    using journal = await JournalFile.open(run);
    await journal.write(recordOf(path));
    using listener = Deno.listen({ transport: "unix", path });
    const ended = vmferry(["recover", "--qmp", path, "--run-dir", base, "--yes", "--json"]);
    using conn = await listener.accept();
    await meanwhile(journal, run, recordOf(path));
    const qemu = new FakeQemu(conn, STANDS);
    const { stdout, stderr } = await ended;
    assertEquals(stderr, "");
    outcome = { told: JSON.parse(stdout), commands: qemu.received.map(({ command }) => command) };
  });
  return outcome!;
}

const WAITED = "a migration that ends while recover waits for QEMU is ";

Deno.test(`${WAITED}over: nothing is done to a guest that has crossed`, async () => {
  const { told, commands } = await recoverAfter((_journal, run) =>
    Deno.remove(run, { recursive: true })
  );
  assertEquals([told.verdict, commands.includes("cont")], ["nothing", false]);
});

Deno.test(`${WAITED}judged by what it wrote down last`, async () => {
  const { told, commands } = await recoverAfter((journal, _run, record) =>
    journal.write({ ...record, state: "handover" })
  );
  assertEquals([told.verdict, told.state], ["ask", "handover"]);
  assertEquals(commands.includes("cont"), false);
});

Deno.test("a migration that was begun with another socket is named", async () => {
  await inDirectory(async (base) => {
    await Deno.chmod(base, 0o700);
    await Deno.mkdir(`${base}/run-1`, { mode: 0o700 });
    using journal = await JournalFile.open(`${base}/run-1`);
    await journal.write(recordOf("/run/vm1.qmp"));
    const args = ["recover", "--qmp", "/run/typo.qmp", "--run-dir", base, "--json"];
    const { code, stdout } = await vmferry(args);
    const { verdict, next } = JSON.parse(stdout);
    assertEquals([code, verdict, next.length], [0, "nothing", 1]);
    assertEquals(
      next[0].endsWith(`vmferry recover --qmp /run/vm1.qmp --run-dir ${base}`),
      true,
      next[0],
    );
  });
});

Deno.test("only --force-run-here removes the record of an open handover", async () => {
  await inDirectory(async (base) => {
    await Deno.chmod(base, 0o700);
    const run = `${base}/run-1`;
    await Deno.mkdir(run, { mode: 0o700 });
    {
      using journal = await JournalFile.open(run);
      await journal.write({ ...recordOf(`${base}/qmp.sock`), state: "handover" });
    }
    const args = ["recover", "--qmp", `${base}/qmp.sock`, "--run-dir", base, "--json"];
    const kept = JSON.parse((await vmferry([...args, "--yes"])).stdout);
    assertEquals([kept.verdict, kept.done, kept.next.length], ["gone", false, 1]);
    assertEquals((await Deno.stat(run)).isDirectory, true);
    const removed = JSON.parse((await vmferry([...args, "--force-run-here"])).stdout);
    assertEquals([removed.verdict, removed.done], ["gone", true]);
    await assertRejects(() => Deno.stat(run), Deno.errors.NotFound);
  });
});

/** One record in each state that leaves open where the guest runs. */
function openRecords(qmp: string): JournalRecord[] {
  const source = { ...recordOf(qmp), qemu: "11" };
  const { side: _, wasRunning: __, stopped: ___, asleep: ____, mirrors: _____, ...common } = source;
  const { destination: ______, recoverThere: _______, ...shared } = common;
  const arrived: DestinationRecord = {
    ...shared,
    ...{ side: "destination", state: "starting", listen: "tcp://h:1", exports: [] },
    ...{ incomingStarted: true, run: true },
  };
  return [
    { ...source, state: "handover" },
    { ...source, state: "unknown" },
    arrived,
    { ...arrived, state: "lost" },
  ];
}

/** States of the QMP socket: each prepares it, the result closes it. */
const FATES: Readonly<Record<string, (path: string) => Disposable | void>> = {
  "is missing": () => {},
  "is refused": (path) => Deno.listen({ transport: "unix", path }).close(),
  "is served by another QEMU that runs a guest": (path) => {
    const listener = Deno.listen({ transport: "unix", path });
    const answers: Commands = {
      ...STANDS,
      "query-status": () => ({ return: { status: "running", running: true, singlestep: false } }),
      "query-cpus-fast": () => ({ return: [{ "thread-id": 12 }] }),
      "query-block-exports": () => ({ return: [] }),
    };
    listener.accept().then((conn) => new FakeQemu(conn, answers), () => {});
    return listener;
  },
};

for (const [fate, serve] of Object.entries(FATES)) {
  Deno.test(`recover --yes keeps an open handover's record when the QMP socket ${fate}`, async () => {
    await inDirectory(async (base) => {
      await Deno.chmod(base, 0o700);
      const qmp = `${base}/qmp.sock`;
      const records = openRecords(qmp);
      for (const [i, record] of records.entries()) {
        await Deno.mkdir(`${base}/run-${i}`, { mode: 0o700 });
        using journal = await JournalFile.open(`${base}/run-${i}`);
        await journal.write(record);
      }
      using _served = serve(qmp) ?? null;
      const args = ["recover", "--qmp", qmp, "--run-dir", base, "--yes", "--json"];
      const { stdout, stderr } = await vmferry(args);
      const said = stdout.trim().split("\n").map((line) => JSON.parse(line));
      const states = said.map(({ state, verdict, done }) => `${state} ${verdict} ${done}`);
      const expected = records.map(({ state }) => `${state} gone false`);
      assertEquals(states.toSorted(), expected.toSorted(), stderr);
      for (const i of records.keys()) {
        assertEquals((await Deno.stat(`${base}/run-${i}`)).isDirectory, true);
      }
    });
  });
}
