import { assertEquals, assertRejects } from "@std/assert";
import { findJournals, JournalFile } from "../../src/cli/run/journal_file.ts";
import type { SourceRecord } from "../../src/migrate/mod.ts";
import { sh } from "../support/sh.ts";

const RECORD: SourceRecord = {
  ...{ format: 2, side: "source", migration: "m", qmp: "/run/q", guest: "vm1", state: "prepare" },
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
  },
  mirrors: [{
    ...{ name: "vd0", device: "d0", sizeBytes: 5, exportName: "e" },
    ...{ jobId: "j", targetNode: "t", noHoles: null, topOnly: null, delta: null },
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

/** The same where there is room for little. */
async function onSmallDisk(work: (base: string, run: string) => Promise<void>): Promise<void> {
  const base = await Deno.makeTempDir();
  await sh("mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "none", base);
  try {
    await Deno.mkdir(`${base}/run-1`);
    await work(base, `${base}/run-1`);
  } finally {
    await sh("umount", base);
    await Deno.remove(base);
  }
}

const stateIn = async (base: string) => (await findJournals(base)).map((j) => j.record.state);

Deno.test("the last journal record that was written is the one that is read", async () => {
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

Deno.test("a journal record that was cut short at any byte is ignored", async () => {
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

Deno.test("what is written once a full disk has room again counts, whatever the failed try left", async () => {
  await onSmallDisk(async (base, run) => {
    // A page of memory is the least that such a disk gives.
    const long = { ...RECORD, destination: "x".repeat(2500) };
    using journal = await JournalFile.open(run);
    await journal.write(long);
    const filled = `${base}/filled`;
    await assertRejects(() => Deno.writeFile(filled, new Uint8Array(1 << 20)), Error, "No space");
    await assertRejects(() => journal.write({ ...long, state: "handover" }), Error, "No space");
    const left = await Deno.readTextFile(`${run}/journal`);
    assertEquals(left.endsWith("\n"), false, "half a line was written");
    assertEquals(await stateIn(base), ["prepare"]);
    await Deno.remove(filled);
    await journal.write({ ...long, state: "handover" });
    assertEquals(await stateIn(base), ["handover"]);
  });
});

Deno.test("a journal of another version is an error", async () => {
  await inBase(async (base, run) => {
    await Deno.writeTextFile(`${run}/journal`, `${JSON.stringify({ ...RECORD, format: 1 })}\n`);
    await assertRejects(
      () => findJournals(base),
      Error,
      "no journal that this version understands",
    );
  });
});
