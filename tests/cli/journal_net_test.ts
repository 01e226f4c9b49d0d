import { assertEquals, assertRejects } from "@std/assert";
import { findJournals, JournalFile } from "../../src/cli/journal_file.ts";
import type { SourceRecord } from "../../src/migrate/mod.ts";

const RECORD: SourceRecord = {
  ...{ format: 2, side: "source", migration: "m", qmp: "/run/q", guest: "vm1", state: "prepare" },
  ...{ wasRunning: true, stopped: "no", destination: "tcp://h:1", recoverThere: "" },
  mirrors: [{
    ...{ name: "vd0", device: "d0", sizeBytes: 5, exportName: "e" },
    ...{ jobId: "j", targetNode: "t" },
  }],
  settings: {
    capabilities: [{ capability: "events", state: false }],
    parameters: { "max-bandwidth": 5, "tls-creds": "" },
  },
};

async function inBase(work: (base: string, run: string) => Promise<void>): Promise<void> {
  const base = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${base}/run-1`);
    await work(base, `${base}/run-1`);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

const stateIn = async (base: string) => (await findJournals(base)).map((j) => j.record.state);

Deno.test("what was written last is what counts, and it comes back as it was", async () => {
  await inBase(async (base, run) => {
    assertEquals(await findJournals(base), [], "a run directory without a journal");
    assertEquals(await findJournals(`${base}/none`), []);
    {
      using journal = await JournalFile.open(run);
      assertEquals(await findJournals(base), [], "a journal without a record");
      await Promise.all([
        journal.write(RECORD),
        journal.write({ ...RECORD, state: "mirror" }),
        journal.write({ ...RECORD, state: "ram" }),
      ]);
    }
    assertEquals(await findJournals(base), [{ dir: run, record: { ...RECORD, state: "ram" } }]);
    assertEquals((await Deno.stat(`${run}/journal`)).mode! & 0o777, 0o600);
  });
});

Deno.test("a record that was cut short, at any byte, is as if it had not been begun", async () => {
  await inBase(async (base, run) => {
    const path = `${run}/journal`;
    const whole = `${JSON.stringify(RECORD)}\n`;
    const next = `${JSON.stringify({ ...RECORD, state: "handover" })}\n`;
    for (let length = 0; length < next.length; length += 7) {
      await Deno.writeTextFile(path, whole + next.slice(0, length));
      assertEquals(await stateIn(base), ["prepare"], `cut after ${length}`);
      // The next process writes behind it.
      using journal = await JournalFile.open(run);
      await journal.write({ ...RECORD, state: "undone" });
      assertEquals(await stateIn(base), ["undone"], `cut after ${length}`);
    }
  });
});

Deno.test("a journal of another version is an error and no empty one", async () => {
  await inBase(async (base, run) => {
    await Deno.writeTextFile(`${run}/journal`, `${JSON.stringify({ ...RECORD, format: 1 })}\n`);
    await assertRejects(
      () => findJournals(base),
      Error,
      "no journal that this version understands",
    );
  });
});
