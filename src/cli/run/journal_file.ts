import { messageOf } from "../../io/mod.ts";
import { type JournalRecord, type JournalStore, parseRecord } from "../../migrate/mod.ts";
import { runFolders } from "./base.ts";
import { lastValue } from "./journal_lines.ts";

/** What the journal of a QEMU's migration is called in its run directory. */
export const JOURNAL = "journal";
/** The same of a domain's migration, at the source and at the destination. */
export const DOMAIN_SOURCE_JOURNAL = "domain-source";
export const DOMAIN_DESTINATION_JOURNAL = "domain-destination";
/** The same of a launch, at the destination. */
export const LAUNCH_JOURNAL = "launch";
/** Syncing that took less than this does not touch a disk, ms. */
const QUICK_MS = 0.5;

/**
 * A journal as a file of JSON lines, mode 0600: each record is a line behind the ones before it, and
 * the last whole line counts. A line that was cut short by a crash is as if it had not been begun.
 */
export class JournalFile<R = JournalRecord> implements JournalStore<R>, Disposable {
  readonly #file: Deno.FsFile;
  #writing: Promise<void> = Promise.resolve();
  /** Where syncing takes no time, as in memory, a thread that does it takes more. */
  #isQuick: boolean | undefined;
  /** A line was begun and is not whole: what comes next must not become part of it. */
  #torn = false;

  /** Opens the journal in `dir`, or begins one. */
  static async open<R = JournalRecord>(dir: string, name = JOURNAL): Promise<JournalFile<R>> {
    const path = `${dir}/${name}`;
    const file = await Deno.open(path, { append: true, create: true, mode: 0o600 });
    const text = await Deno.readTextFile(path);
    const journal = new JournalFile<R>(file);
    journal.#torn = text !== "" && !text.endsWith("\n");
    return journal;
  }

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** {@inheritDoc JournalStore.write} */
  write(record: R): Promise<void> {
    const line = `${JSON.stringify(record)}\n`;
    const written = this.#writing.then(() => this.#append(this.#torn ? `\n${line}` : line));
    this.#writing = written.catch(() => {});
    return written;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  async #append(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    this.#torn = true;
    // The kernel takes them at once; only the disk is waited for. The guest may be standing still.
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    this.#torn = false;
    if (this.#isQuick === false) return await this.#file.syncData();
    const start = performance.now();
    this.#file.syncDataSync();
    this.#isQuick = performance.now() - start < QUICK_MS;
  }
}

/** A migration that was cut off: where its files are, and what was written down last. */
export interface CutOff {
  readonly dir: string;
  readonly record: JournalRecord;
}

/**
 * Every journal in the run directories under `base`. Those of processes that still run are among
 * them: a process that has the QMP socket knows that no other one has it.
 */
export async function findJournals(base: string): Promise<CutOff[]> {
  const found: CutOff[] = [];
  for (const dir of await runFolders(base)) {
    const record = await readJournal(`${dir}/${JOURNAL}`);
    if (record) found.push({ dir, record });
  }
  return found;
}

/** The last whole record; `undefined` without a journal or with an empty one. */
async function readJournal(path: string): Promise<JournalRecord | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const value = lastValue(text);
  if (value === undefined) return undefined;
  try {
    return parseRecord(value);
  } catch (error) {
    throw new Error(`${path} is no journal that this version understands: ${messageOf(error)}`);
  }
}
