/**
 * A destination that is launched: first the calls of the launch, then a migration to the QEMU that was
 * started.
 *
 * @module
 */
import { type Logger, systemClock } from "../../io/mod.ts";
import {
  LaunchDestination,
  type LaunchDestinationOptions,
  type StartedQemu,
} from "../../launch/mod.ts";
import {
  asMigrationError,
  checkDestination,
  DestinationMigration,
  type DestinationRecord,
  type MigrationError,
  needsRecord,
  type OwnIntroduction,
  type Report,
} from "../../migrate/mod.ts";
import type { RpcPeer } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { identify } from "../control/controlled.ts";
import type { Identity } from "../control/status_board.ts";
import type { ListeningEnd } from "../endpoint/listening_end.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { hostAccess } from "../host/access.ts";
import { openQmp } from "../host/open_qmp.ts";
import { QemuLog } from "../host/qemu_log.ts";
import { realPath } from "../paths.ts";
import { recoverCommand, RunState } from "./run_state.ts";
import { ownerOfQemu } from "./socket_owner.ts";

/** What it is made from. */
export interface LaunchedOptions
  extends Pick<LaunchDestinationOptions, "host" | "trust" | "journal"> {
  readonly end: ListeningEnd;
  /** What the source's report shows of this end. */
  readonly introduction: OwnIntroduction;
  /** Of the migration, see `DestinationOptions`. */
  readonly beforeSwitchover?: (signal: AbortSignal) => Promise<void>;
  /** Where the ticket is kept until there is a migration. */
  readonly kept: KeptTicket;
  /** `--run-dir`, if it was given. */
  readonly base: string | undefined;
  readonly report: Report;
  readonly log: Logger;
}

/** The destination. Owns the connection to the QEMU and the run directory of the migration. */
export class LaunchedMigration implements AsyncDisposable {
  readonly #options: LaunchedOptions;
  readonly #launch: LaunchDestination;
  readonly #stack = new AsyncDisposableStack();
  #migration: DestinationMigration | undefined;
  #run: RunState<DestinationRecord> | undefined;
  #guest: Identity["guest"] = { name: null, uuid: null };

  /** Begins nothing yet. */
  constructor(options: LaunchedOptions) {
    this.#options = options;
    const { host, trust, journal, end, report } = options;
    this.#launch = new LaunchDestination({
      ...{ host, trust, journal, report },
      claimed: (session) => end.claim(session),
      started: (qemu, session, rpc) => this.#started(qemu, session, rpc),
    });
  }

  /** The session of the source whose launch it is. */
  get source(): Session | undefined {
    return this.#launch.source ?? this.#migration?.source;
  }

  /** Resolves when the source knows the outcome. */
  get told(): Promise<void> {
    return this.#migration?.told ?? Promise.resolve();
  }

  /** Name and UUID of the guest, once its QEMU was started. */
  get guest(): Identity["guest"] {
    return this.#guest;
  }

  /** QMP socket of the QEMU that was started; empty before. */
  get qmp(): string {
    return this.#launch.started?.qmp ?? "";
  }

  /** QEMU's run state when the guest has arrived. */
  get guestStatus(): string | null {
    return this.#migration?.guestStatus ?? null;
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#migration?.bytes ?? this.source?.bytes ?? 0;
  }

  /** The launch's journal must stay. */
  get mustStay(): boolean {
    return this.#launch.mustStay;
  }

  /**
   * Resolves when the guest is here. The launch is committed or undone by then.
   *
   * @throws {MigrationError} when the launch or the migration failed.
   */
  async outcome(): Promise<void> {
    await this.#launch.outcome();
    try {
      await this.#migration!.outcome();
    } catch (error) {
      const failure = asMigrationError(error, "destination");
      if (failure.kind === "unknown") await this.#launch.keep();
      else this.#warn("not-undone", await this.#launch.undo());
      if (needsRecord(failure) || this.mustStay) this.#run?.dir.keep();
      throw failure;
    }
    if (this.#migration!.leftBehind) this.#run?.dir.keep();
    this.#warn("launch", await this.#launch.commit());
  }

  /** Serves a session that a source has opened. */
  serve(session: Session): void {
    if (this.#migration) this.#migration.serve(session);
    else this.#launch.serve(session);
  }

  /** Gives up, unless the guest may be here. */
  async cancel(reason: MigrationError): Promise<void> {
    if (!this.#migration) await this.#launch.cancel(reason);
    // QEMU may have been started meanwhile.
    if (this.#migration) await this.#migration.cancel(reason);
    else this.#launch.source?.abort(reason.message, "stopped");
  }

  /** Waits until the sources have left. */
  async leave(): Promise<void> {
    await Promise.all([this.#launch.leave(), this.#migration?.leave()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** QEMU answers: from now on the source's calls are those of a migration. */
  async #started(started: StartedQemu, session: Session, rpc: RpcPeer): Promise<string> {
    const { base, end, report, log, kept, beforeSwitchover } = this.#options;
    const stack = this.#stack;
    const qmp = stack.use(await openQmp(started.qmp, "destination", log));
    const qemuLog = stack.use(new QemuLog(started.qmp, log));
    const qmpPath = await realPath(started.qmp);
    const run = stack.use(
      await RunState.open<DestinationRecord>({
        ...{ base, qmp, qmpPath, log, side: "destination", resume: false },
        socketOwner: await ownerOfQemu(qmpPath),
      }),
    );
    await checkDestination(qmp, []);
    await qemuLog.ready();
    const used = await kept.load();
    if (used) await new KeptTicket(run.dir.own(KEPT_TICKET)).save(used);
    this.#guest = (await identify("destination", qmp, qmpPath, run.dir.directory)).guest;
    const recover = recoverCommand(qmpPath, base);
    const migration = new DestinationMigration({
      ...{ qmp, qmpPath, report, log, clock: systemClock, disks: [], resume: undefined },
      ...{ listen: end.address, graceMs: end.graceMs, recoverCommand: recover },
      claimed: (session) => end.claim(session),
      runDir: run.dir,
      journal: this.#launch.guard(run.journal),
      lastWords: qemuLog.read,
      host: hostAccess(log),
      ...(beforeSwitchover ? { beforeSwitchover } : {}),
      introduction: this.#options.introduction,
      afterUndo: () => this.#launch.undo(),
    });
    this.#run = run;
    this.#migration = migration;
    migration.serve(session, rpc);
    return recover;
  }

  #warn(code: "not-undone" | "launch", left: readonly string[]): void {
    for (const message of left) this.#options.report({ event: "warning", code, message });
  }
}
