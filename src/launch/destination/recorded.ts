import { type Logger, messageOf } from "../../io/mod.ts";
import type { LaunchJournal, LaunchRecord, MadeRecord } from "./record.ts";

/** The record of a launch that is under way, in memory and in the journal. */
export class Recorded {
  readonly #journal: LaunchJournal;
  #record: LaunchRecord;

  /** Writes nothing yet. */
  constructor(journal: LaunchJournal, record: LaunchRecord) {
    this.#journal = journal;
    this.#record = record;
  }

  /** What was written last, or is about to be. */
  get current(): LaunchRecord {
    return this.#record;
  }

  /** Writes the record with a change. */
  async write(change: Partial<LaunchRecord> = {}): Promise<void> {
    // Kept even if the journal fails: this process undoes what may have been done.
    this.#record = { ...this.#record, ...change };
    await this.#journal.write(this.#record);
  }

  /**
   * Writes down that the launch ends without its guest, so that the next launch of the guest waits for the
   * undo. Does nothing if the guest may be here. Never rejects.
   */
  async noteUndo(log: Logger): Promise<void> {
    if (this.#record.mayHaveGuest || this.#record.undoing) return;
    await this.write({ undoing: true }).catch((error) => {
      log.log("warning", `the journal: ${messageOf(error)}`);
    });
  }

  /** As `LaunchJournal.others`. */
  async others(): Promise<readonly LaunchRecord[]> {
    return await this.#journal.others();
  }

  /** As `LaunchJournal.rivals`. Once the record is written, each of two launches sees the other. */
  async rivals(): Promise<readonly string[]> {
    return await this.#journal.rivals(this.#record.qmp);
  }

  /** Writes the record with a change to what is made at a path. */
  async writeMade(path: string, change: Partial<MadeRecord>): Promise<void> {
    const made = this.#record.made.map((each) =>
      each.path === path ? { ...each, ...change } : each
    );
    await this.write({ made });
  }
}
