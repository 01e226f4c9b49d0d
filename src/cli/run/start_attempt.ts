/**
 * One start of a destination's QEMU for the sources that have come, and the migration to it.
 *
 * @module
 */
import { type Clock, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import {
  asMigrationError,
  type DestinationMigration,
  type MigrationError,
  needsRecord,
  type Report,
  sourceLeft,
} from "../../migrate/mod.ts";
import { type Result, RpcError, RpcPeer } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { SiteQemu } from "../host/site/site_qemu.ts";

/** How long an answer to `ready` may take, ms; well below the source's patience. */
const ANSWER_MS = 10_000;
/** How long the answer to `abort` waits for QEMU's end, ms; below the source's patience. */
const ABORT_MS = 30_000;
/** Longest time for a source to leave after the end, ms. */
const LEAVE_MS = 5_000;
/** The reason of a source that has given none. */
const WENT = "it went away while QEMU was started";

/** A migration to a QEMU that was started, with everything that it uses. */
export interface OpenedMigration extends AsyncDisposable {
  readonly migration: DestinationMigration;
  /** The migration's record must stay: nobody knows where the guest is, or something is left. */
  keep(): void;
}

/** What an attempt needs. */
export interface AttemptOptions {
  readonly site: Pick<SiteQemu, "start" | "stop">;
  /** Makes the migration to the QEMU that was started. Rejects as `receive` does where that does not fit. */
  readonly open: () => Promise<OpenedMigration>;
  /** Resolves when an earlier QEMU has ended. */
  readonly after: Promise<unknown>;
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
}

/** `left`: every source went away before it had prepared a migration; QEMU was stopped. */
export type AttemptEnd = "arrived" | "left";

/** Starts QEMU at once; sources that come meanwhile wait for it. */
export class StartAttempt implements AsyncDisposable {
  /**
   * How it ended. A rejection is a `MigrationError`; QEMU was stopped by then, unless its kind is `unknown`.
   */
  readonly ended: Promise<AttemptEnd>;
  readonly #options: AttemptOptions;
  readonly #stop = new AbortController();
  /** Every source that has not left, with its calls. */
  readonly #sources = new Map<Session, RpcPeer>();
  readonly #started = Promise.withResolvers<DestinationMigration>();
  readonly #deserted = Promise.withResolvers<"left">();
  #isDeserted = false;
  #opened: OpenedMigration | undefined;
  #failure: MigrationError | undefined;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.#started.promise.catch(() => {});
    this.ended = this.#carryOut();
    this.ended.catch(() => {});
  }

  /** A further source can use this QEMU: it is not about to be stopped for want of sources. */
  get accepts(): boolean {
    return !this.#isDeserted;
  }

  /** The migration, once QEMU was started. */
  get migration(): DestinationMigration | undefined {
    return this.#opened?.migration;
  }

  /** A source that waits, or is served. */
  get anySource(): Session | undefined {
    return this.#sources.keys().next().value;
  }

  /** Has a source wait for QEMU, and then serves it. */
  add(session: Session): void {
    const { clock, log } = this.#options;
    const rpc = new RpcPeer(session.rpc, {
      ...{ clock, log, holds: true },
      onFault: (error) => session.abort(error.message, "protocol-error"),
      handlers: {
        ready: () => this.#ready(),
        abort: async ({ reason }) => {
          this.#remove(session, reason);
          if (this.#isDeserted) await this.#untilStopped();
          return { left: null };
        },
      },
    });
    this.#sources.set(session, rpc);
    session.ended.then(() => {
      // Calls that wait are answered, to nobody.
      if (!this.migration) rpc.serve({});
      this.#remove(session, WENT);
    });
    this.migration?.serve(session, rpc);
  }

  /** Gives up and stops QEMU, unless the guest may be there. */
  async cancel(reason: MigrationError): Promise<void> {
    if (this.migration) await this.migration.cancel(reason);
    else this.#stop.abort(reason);
  }

  /** Waits until the sources have left, five seconds at most. */
  async leave(): Promise<void> {
    await this.migration?.leave();
    const reason = this.#failure?.message ?? "It is over";
    await Promise.all([...this.#sources.keys()].map(async (session) => {
      await withDeadline(this.#options.clock, LEAVE_MS, "the source to leave", session.ended)
        .catch(() => session.abort(reason, "stopped"));
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened?.[Symbol.asyncDispose]();
  }

  async #carryOut(): Promise<AttemptEnd> {
    try {
      const migration = await this.#start();
      const arrived = migration.outcome().then(() => "arrived" as const);
      const end = await Promise.race([arrived, this.#deserted.promise]);
      arrived.catch(() => {});
      if (end === "left") await this.#endDeserted();
      else if (migration.leftBehind) this.#opened!.keep();
      return end;
    } catch (error) {
      return await this.#fail(asMigrationError(error, "destination"));
    }
  }

  async #start(): Promise<DestinationMigration> {
    const { signal } = this.#stop;
    await this.#options.after;
    await this.#options.site.start(signal);
    signal.throwIfAborted();
    const opened = await this.#options.open();
    if (signal.aborted) await opened[Symbol.asyncDispose]();
    signal.throwIfAborted();
    this.#opened = opened;
    const { migration } = opened;
    for (const [session, rpc] of this.#sources) migration.serve(session, rpc);
    this.#started.resolve(migration);
    return migration;
  }

  /** Nobody asked for the guest to come: no QEMU has it. */
  async #endDeserted(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.[Symbol.asyncDispose]();
    await this.#stopQemu();
  }

  async #fail(failure: MigrationError): Promise<AttemptEnd> {
    this.#failure = failure;
    if (needsRecord(failure) || this.migration?.leftBehind) this.#opened!.keep();
    // The guest may run there.
    if (failure.kind !== "unknown") await this.#stopQemu();
    const word = failure.kind === "refused" ? "refused" : failure.code;
    this.#started.reject(new RpcError(word, failure.message));
    if (this.#isDeserted && !this.migration) return "left";
    throw failure;
  }

  async #stopQemu(): Promise<void> {
    const left = await this.#options.site.stop();
    if (left === undefined) return;
    this.#options.report({ event: "warning", code: "not-undone", message: left });
  }

  async #ready(): Promise<Result<"ready">> {
    const late = Promise.withResolvers<boolean>();
    const stop = this.#options.clock.after(ANSWER_MS, () => late.resolve(false));
    try {
      const started = this.#started.promise.then(() => true);
      return { ready: await Promise.race([started, late.promise]) };
    } finally {
      stop();
    }
  }

  #remove(session: Session, reason: string): void {
    if (!this.#sources.delete(session) || this.#sources.size > 0) return;
    // A source that has prepared a migration: the migration ends by itself.
    if (this.#failure || this.migration?.source) return;
    this.#isDeserted = true;
    if (this.migration) return this.#deserted.resolve("left");
    this.#options.report(sourceLeft(reason));
    this.#stop.abort(new Error(reason));
  }

  /** Waits for QEMU's end. */
  async #untilStopped(): Promise<void> {
    const { clock, log } = this.#options;
    await withDeadline(clock, ABORT_MS, "QEMU to be stopped", this.ended)
      .catch((error) => log.log("debug", messageOf(error)));
  }
}
