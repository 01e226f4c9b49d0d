import { type Logger } from "../../io/mod.ts";
import { type DomainSourceRecord, parseDomainSourceRecord } from "../../domain/mod.ts";
import { runFolders } from "./base.ts";
import { DirectoryLock } from "./dir_lock.ts";
import { DOMAIN_SOURCE_JOURNAL } from "./journal_file.ts";
import { lastValue } from "./journal_lines.ts";
import { PrivateRunDir } from "./run_dir.ts";

/** The directory of a run whose process is gone. No other process has it as long as it is not disposed. */
export class DeadRun implements Disposable {
  readonly #dir: string;
  readonly #lock: DirectoryLock;
  /** What was written last. */
  readonly record: DomainSourceRecord;

  /** Takes over `lock`. */
  constructor(dir: string, lock: DirectoryLock, record: DomainSourceRecord) {
    this.#dir = dir;
    this.#lock = lock;
    this.record = record;
  }

  /** Removes the directory. */
  async remove(): Promise<void> {
    await PrivateRunDir.adopt(this.#dir)[Symbol.asyncDispose]();
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

/**
 * Finds the sources of domains whose processes are gone.
 *
 * @throws {UsageError} when the base is no directory that can be used.
 */
export async function findDeadRuns(base: string, log: Logger): Promise<DeadRun[]> {
  const found: DeadRun[] = [];
  for (const dir of await runFolders(base)) {
    const text = await Deno.readTextFile(`${dir}/${DOMAIN_SOURCE_JOURNAL}`).catch(() => undefined);
    if (text === undefined) continue;
    const lock = await DirectoryLock.tryTake(dir);
    if (!lock) continue;
    // Its process may have written more before it ended.
    const record = lastRecord(await Deno.readTextFile(`${dir}/${DOMAIN_SOURCE_JOURNAL}`));
    if (record) {
      found.push(new DeadRun(dir, lock, record));
      continue;
    }
    log.log("warning", `${dir} has no record that this version understands: it stays`);
    lock[Symbol.dispose]();
  }
  return found;
}

function lastRecord(text: string): DomainSourceRecord | undefined {
  try {
    return parseDomainSourceRecord(lastValue(text));
  } catch {
    return undefined;
  }
}
