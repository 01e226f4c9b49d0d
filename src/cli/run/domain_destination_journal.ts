/**
 * The journal of `receive --libvirt` in its run directory: JSON lines, mode 0600, each a whole
 * `DomainRecord` (src/domain/destination/record.ts); the last whole line counts.
 *
 * @module
 */
import { type DomainJournal, type DomainRecord, parseDomainRecord } from "../../domain/mod.ts";
import type { Logger } from "../../io/mod.ts";
import { messageOf } from "../../io/mod.ts";
import { runFolders } from "./base.ts";
import { lastValue } from "./journal_lines.ts";
import { DirectoryLock } from "./dir_lock.ts";

/** What it is called. */
export const DOMAIN_JOURNAL = "domain-destination";

/** A journal as a file. */
export class DestinationJournalFile implements DomainJournal, Disposable {
  readonly #file: Deno.FsFile;
  #writing: Promise<void> = Promise.resolve();
  #torn = false;

  /** Begins or goes on with the journal in `dir`. */
  static async open(dir: string): Promise<DestinationJournalFile> {
    const path = `${dir}/${DOMAIN_JOURNAL}`;
    return new DestinationJournalFile(
      await Deno.open(path, { append: true, create: true, mode: 0o600 }),
    );
  }

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** {@inheritDoc DomainJournal.write} */
  write(record: DomainRecord): Promise<void> {
    const line = `${JSON.stringify(record)}\n`;
    const written = this.#writing.then(async () => {
      // A line that was not finished ends here.
      const bytes = new TextEncoder().encode(this.#torn ? `\n${line}` : line);
      this.#torn = true;
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
      this.#torn = false;
      await this.#file.sync();
    });
    this.#writing = written.catch(() => {});
    return written;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** A journal that is there. */
export interface FoundDomain {
  readonly dir: string;
  readonly record: DomainRecord;
}

/** The journals of all `receive --libvirt` under `base`, running or not. */
export async function findDomains(base: string, log: Logger): Promise<FoundDomain[]> {
  const found: FoundDomain[] = [];
  for (const dir of await runFolders(base)) {
    try {
      const record = await lastRecord(`${dir}/${DOMAIN_JOURNAL}`);
      if (record) found.push({ dir, record });
    } catch (error) {
      log.log("warning", `${dir}/${DOMAIN_JOURNAL}: ${messageOf(error)}`);
    }
  }
  return found;
}

/** Locks the directory of a process that has ended; `undefined` while it runs. */
export async function lockOf({ dir }: FoundDomain): Promise<DirectoryLock | undefined> {
  return await DirectoryLock.tryTake(dir);
}

async function lastRecord(path: string): Promise<DomainRecord | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const value = lastValue(text);
  return value === undefined ? undefined : parseDomainRecord(value);
}
