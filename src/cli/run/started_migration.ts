/**
 * A destination whose QEMU is started by commands of the user when a source comes.
 *
 * @module
 */
import type { Clock, Logger } from "../../io/mod.ts";
import { asMigrationError, type MigrationError, type Report } from "../../migrate/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { SiteQemu } from "../host/site/site_qemu.ts";
import { type OpenedMigration, StartAttempt } from "./start_attempt.ts";

/** What it needs. */
export interface StartedOptions {
  readonly site: Pick<SiteQemu, "start" | "stop">;
  /** Makes the migration to the QEMU that was started. */
  readonly open: () => Promise<OpenedMigration>;
  /** A source that left cannot be followed by another one: its pipe is the only one. */
  readonly isPipe: boolean;
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Serves sources one after another until one has prepared a migration, as `receive` does. The first one has QEMU
 * started; when all have left without a migration, it is stopped, and the next one has it started anew.
 */
export class StartedMigration implements AsyncDisposable {
  readonly #options: StartedOptions;
  readonly #over = Promise.withResolvers<void>();
  #attempt: StartAttempt | undefined;
  #cancelled: MigrationError | undefined;

  /** Begins nothing yet. */
  constructor(options: StartedOptions) {
    this.#options = options;
    this.#over.promise.catch(() => {});
  }

  /** The source whose migration it is, or for which QEMU is started. */
  get source(): Session | undefined {
    const attempt = this.#attempt;
    return attempt?.migration?.source ?? (this.#options.isPipe ? undefined : attempt?.anySource);
  }

  /** Resolves when the source knows the outcome. */
  get told(): Promise<void> {
    return this.#attempt?.migration?.told ?? Promise.resolve();
  }

  /** QEMU's run state when the guest has arrived. */
  get guestStatus(): string | null {
    return this.#attempt?.migration?.guestStatus ?? null;
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#attempt?.migration?.bytes ?? 0;
  }

  /**
   * Resolves when the guest runs here.
   *
   * @throws {MigrationError} when it failed. QEMU was stopped by then, unless the kind is `unknown`.
   */
  async outcome(): Promise<void> {
    await this.#over.promise;
  }

  /** Serves a session that a source has opened. */
  serve(session: Session): void {
    if (!this.#attempt?.accepts) this.#attempt = this.#begin(this.#attempt);
    this.#attempt.add(session);
  }

  /** Gives up, unless the guest may be here. */
  async cancel(reason: MigrationError): Promise<void> {
    this.#cancelled ??= reason;
    if (this.#attempt) await this.#attempt.cancel(reason);
    else this.#over.reject(reason);
  }

  /** Waits until the sources have left. */
  async leave(): Promise<void> {
    await this.#attempt?.leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#attempt?.[Symbol.asyncDispose]();
  }

  #begin(before: StartAttempt | undefined): StartAttempt {
    const { site, open, report, clock, log } = this.#options;
    const after = before?.ended.catch(() => {}) ?? Promise.resolve();
    const attempt = new StartAttempt({ site, open, after, report, clock, log });
    attempt.ended.then((end) => {
      if (end === "arrived") return this.#over.resolve();
      if (this.#attempt !== attempt) return;
      this.#attempt = undefined;
      if (this.#cancelled) this.#over.reject(this.#cancelled);
    }).catch((error) => this.#over.reject(asMigrationError(error, "destination")));
    return attempt;
  }
}
