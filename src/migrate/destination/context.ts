import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { MigrationError } from "../errors.ts";
import type { Report } from "../events.ts";
import { type DESTINATION_LISTS, destinationStep } from "../handover/destination_step.ts";
import { Driver } from "../handover/driver.ts";
import type { DestinationEvent, DestinationState } from "../handover/states.ts";
import { type DestinationRecord, firstRecord } from "../journal.ts";
import { COMPARE_SOCKET } from "../storage/access.ts";
import { DestinationStorage } from "../storage/destination_storage.ts";
import { UndoList } from "../undo.ts";
import type { DestinationOptions } from "./options.ts";
import { IncomingEnd } from "./qemu.ts";

/** States in which the source can no longer change the outcome. */
const FINAL: readonly DestinationState[] = ["finished", "failed", "lost"];

/** Carries out the lists of the destination. */
export type DestinationDriver = Driver<
  DestinationState,
  DestinationEvent,
  typeof DESTINATION_LISTS,
  DestinationRecord
>;

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
  /** The state and the journal: carries out the order of effects of each event. */
  readonly driver: DestinationDriver;
  readonly #settled = new AbortController();

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
    this.driver = new Driver({
      ...{ name: "destination", initial: resume?.state ?? "waiting", step: destinationStep },
      ...{ journal: options.journal, record: resume, log },
      refuse: (event, state, why) => {
        const message = why === "overtaken"
          ? "The destination gave up the migration"
          : `No "${event}" in state "${state}"`;
        return new RpcError("failed", this.failure?.message ?? message);
      },
    });
  }

  get state(): DestinationState {
    return this.driver.current;
  }

  /** What the journal says, or is about to say; `undefined` before a source has prepared. */
  get record(): DestinationRecord | undefined {
    return this.driver.record;
  }

  /** Nothing that the source does changes the outcome any more. */
  get isFinal(): boolean {
    return FINAL.includes(this.state);
  }

  /** Aborted once the outcome is known: no timer of the migration outlives that. */
  get settled(): AbortSignal {
    return this.#settled.signal;
  }

  /** Aborts {@link settled}. */
  settle(): void {
    this.#settled.abort();
  }

  /** Whether a source names the migration that is under way here. */
  isCurrent(migration: string): boolean {
    return this.record?.migration === migration;
  }

  /** Begins the migration of this session's source; nothing is written before QEMU is changed. */
  claim(session: Session, migration: string): void {
    this.owner = session;
    const { qmpPath, listen } = this.options;
    this.driver.record = firstRecord({ migration, qmp: qmpPath, listen });
    this.report({ event: "migration", migration });
  }

  /** Forgets a migration for which nothing was prepared, so that its source can prepare it again. */
  forget(): void {
    this.driver.record = undefined;
  }

  /** Writes the journal of a migration that has ended; a failure to write must not keep it from ending. */
  async writeEnd(change: Partial<Omit<DestinationRecord, "state">>): Promise<void> {
    await this.driver.note(change).catch((failure) =>
      this.log.log("warning", `the journal: ${messageOf(failure)}`)
    );
  }
}
