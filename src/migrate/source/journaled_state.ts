import { Machine } from "../../io/mod.ts";
import { firstSourceRecord, type SourceRecord } from "../journal.ts";
import { resumedAt, SOURCE, type SourceEvent, type SourceState } from "../handover/states.ts";
import type { SourceOptions } from "./options.ts";

/** States in which the migration may be the reason why the guest is paused. */
export const MAY_HAVE_PAUSED: readonly SourceState[] = [
  ...["ram", "switchover", "handover", "undone", "unknown"] as const,
];

/** States before the handover: whether the guest is to run can still change. */
export const BEFORE_HANDOVER: readonly SourceState[] = ["prepare", "mirror", "ram", "switchover"];

/**
 * The state of the source and its record in the journal. Another process resumes or undoes the migration by
 * the record alone, so it is written before the effects that the new state allows, with one exception
 * ({@link passStopped}).
 */
export class JournaledState {
  readonly #machine: Machine<SourceState, SourceEvent>;
  readonly #journal: SourceOptions["journal"];
  readonly #signal: AbortSignal;
  #record: SourceRecord;

  /** @param signal aborted when the migration fails: no further state is entered. */
  constructor(
    options: Pick<SourceOptions, "resume" | "qmpPath" | "destination" | "journal" | "log">,
    signal: AbortSignal,
  ) {
    const { resume, qmpPath, destination, journal, log } = options;
    const initial = resume ? resumedAt(resume.state) : "prepare";
    this.#machine = new Machine<SourceState, SourceEvent>("source", initial, SOURCE, log);
    this.#journal = journal;
    this.#signal = signal;
    this.#record = resume ?? firstSourceRecord({ qmp: qmpPath, destination });
  }

  get current(): SourceState {
    return this.#machine.current;
  }

  /** The record as it is, or is about to be, in the journal. */
  get record(): SourceRecord {
    return this.#record;
  }

  /** Changes the record; resolves when it is durable. Rejects as the journal does. */
  async write(change: Partial<SourceRecord>): Promise<void> {
    this.amend(change);
    await this.#journal.write(this.#record);
  }

  /** Changes the record for the next {@link write}. */
  amend(change: Partial<SourceRecord>): void {
    this.#record = { ...this.#record, ...change };
  }

  /** Takes the event without writing it. */
  take(event: SourceEvent): void {
    this.#machine.take(event);
  }

  /**
   * Writes the state that follows from the event, then enters it.
   *
   * @throws the signal's reason when the migration has failed before or while the record was written.
   */
  async enter(event: SourceEvent, change: Partial<SourceRecord>): Promise<SourceState> {
    this.#signal.throwIfAborted();
    const state = SOURCE[this.current][event]!;
    await this.write({ ...change, state });
    this.#signal.throwIfAborted();
    this.take(event);
    return state;
  }

  /**
   * Enters `switchover` while it is being written: the guest is paused, and a process that finds `ram` does
   * the same as one that finds `switchover`.
   *
   * @returns resolves when the record is durable.
   * @throws the signal's reason when the migration has failed.
   */
  passStopped(asleep: boolean): Promise<void> {
    this.#signal.throwIfAborted();
    this.take("stopped");
    return this.write({ state: "switchover", asleep });
  }
}
