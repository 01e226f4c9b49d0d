import { type Clock, type Logger, Machine, messageOf } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { MigrationError } from "../errors.ts";
import type { Report } from "../events.ts";
import { DESTINATION, type DestinationEvent, type DestinationState } from "../handover/states.ts";
import { type DestinationRecord, firstRecord } from "../journal.ts";
import { COMPARE_SOCKET } from "../storage/access.ts";
import { DestinationStorage } from "../storage/destination_storage.ts";
import { UndoList } from "../undo.ts";
import type { DestinationOptions } from "./options.ts";
import { IncomingEnd } from "./qemu.ts";

/** States in which the source can no longer change the outcome. */
const FINAL: readonly DestinationState[] = ["finished", "failed", "lost"];

/**
 * What all phases of a destination's migration share: the way to QEMU and the host, the state with its
 * journal, the session that owns the migration, the undo list, and the outcome.
 */
export class DestinationContext {
  readonly options: DestinationOptions;
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly report: Report;
  readonly undo: UndoList;
  /** What the migration makes in QEMU. */
  readonly incoming: IncomingEnd;
  readonly storage: DestinationStorage;
  /** Resolves when the migration is over; then {@link failure} says whether it failed. */
  readonly outcome: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Resolves when the source knows for certain whether the guest runs here. */
  readonly told: PromiseWithResolvers<void> = Promise.withResolvers();
  /** The session whose source owns the migration; `undefined` before a source has prepared one. */
  owner: Session | undefined;
  /** Why the owner's session ended, if it did. */
  ownerEnd: MigrationError | undefined;
  failure: MigrationError | undefined;
  /** QEMU's run state when the guest was started or left paused; `null` before, or where unknown. */
  arrivedAs: string | null = null;
  /** Resolves when `prepare` no longer makes anything in QEMU. */
  making: Promise<void> = Promise.resolve();
  readonly #machine: Machine<DestinationState, DestinationEvent>;
  readonly #settled = new AbortController();
  #record: DestinationRecord | undefined;
  #written: Promise<void> = Promise.resolve();

  constructor(options: DestinationOptions) {
    const { qmp, host, runDir, clock, log, report, resume } = options;
    this.options = options;
    this.qmp = qmp;
    this.clock = clock;
    this.log = log;
    this.report = report;
    this.undo = new UndoList(clock, log);
    this.incoming = new IncomingEnd({ qmp, host, runDir, clock, log }, this.undo);
    const socketPath = runDir.path(COMPARE_SOCKET);
    this.storage = new DestinationStorage({ ...host, qmp, socketPath, clock, log }, options.disks);
    this.#machine = new Machine("destination", resume?.state ?? "waiting", DESTINATION, log);
    this.#record = resume;
  }

  get state(): DestinationState {
    return this.#machine.current;
  }

  /** What the journal says, or is about to say; `undefined` before a source has prepared. */
  get record(): DestinationRecord | undefined {
    return this.#record;
  }

  /** Nothing that the source does changes the outcome any more. */
  get isFinal(): boolean {
    return FINAL.includes(this.state);
  }

  /** Aborted once the outcome is known: no timer of the migration outlives that. */
  get settled(): AbortSignal {
    return this.#settled.signal;
  }

  /** Resolves when every record was written, or cannot be. */
  get written(): Promise<void> {
    return this.#written;
  }

  /** Aborts {@link settled}. */
  settle(): void {
    this.#settled.abort();
  }

  /** Whether a source names the migration that is under way here. */
  isCurrent(migration: string): boolean {
    return this.#record?.migration === migration;
  }

  /** Begins the migration of this session's source; nothing is written before QEMU is changed. */
  claim(session: Session, migration: string): void {
    this.owner = session;
    const { qmpPath, listen } = this.options;
    this.#record = firstRecord({ migration, qmp: qmpPath, listen });
  }

  /** Forgets a migration for which nothing was prepared, so that its source can prepare it again. */
  forget(): void {
    this.#record = undefined;
  }

  /**
   * Changes the state without the journal, for a failure.
   *
   * @returns whether the state has changed.
   */
  take(event: DestinationEvent): boolean {
    return this.#machine.take(event);
  }

  /**
   * Writes the journal, then changes the state: after a kill the journal is never behind QEMU.
   *
   * @throws {RpcError} when the migration was given up, before or during the write.
   * @throws {Error} when the journal cannot be written; the state stays.
   */
  async enter(event: DestinationEvent, change: Partial<DestinationRecord> = {}): Promise<void> {
    const before = this.state;
    const next = DESTINATION[before][event];
    if (next === undefined) {
      const message = this.failure?.message ?? `No "${event}" in state "${before}"`;
      throw new RpcError("failed", message);
    }
    await this.write({ ...change, state: next });
    if (this.state !== before) {
      throw new RpcError(
        "failed",
        this.failure?.message ?? "The destination gave up the migration",
      );
    }
    this.#machine.take(event);
  }

  /** Writes the journal. Before a source has prepared there is nothing to resume, and nothing to write. */
  async write(change: Partial<DestinationRecord>): Promise<void> {
    if (!this.#record) return;
    this.#record = { ...this.#record, ...change };
    const written = this.options.journal.write(this.#record);
    this.#written = written.catch(() => {});
    await written;
  }

  /** Writes the journal of a migration that has ended; a failure to write must not keep it from ending. */
  async writeEnd(change: Partial<DestinationRecord>): Promise<void> {
    await this.write(change).catch((failure) =>
      this.log.log("warning", `the journal: ${messageOf(failure)}`)
    );
  }
}
