import { type Clock, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import type { ProgramResult } from "../../host/mod.ts";
import { asMigrationError, MigrationError } from "../../migrate/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { domainFailed, isFirstCause } from "./failure.ts";
import { VirshGoneError } from "./run/fenced.ts";

/** How long a session that is ending may take to say why, ms. */
const CAUSE_MS = 2_000;

/** Why a migration fails: the first reason counts, and libvirt's report only where there is no other. */
export class FirstCause {
  readonly #clock: Clock;
  readonly #log: Logger;
  #cause: MigrationError | undefined;

  /** @param options `signal`: its reason is a cause once it is aborted. */
  constructor({ clock, log, signal }: {
    readonly clock: Clock;
    readonly log: Logger;
    readonly signal: AbortSignal;
  }) {
    this.#clock = clock;
    this.#log = log;
    const onAbort = () => this.take(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  }

  /** Notes a reason, unless it follows from what libvirt does. */
  take(reason: unknown): void {
    if (isFirstCause(reason)) this.#cause ??= asMigrationError(reason, "source");
    else this.#log.log("debug", messageOf(reason));
  }

  /** The cause of a `virsh migrate` that failed, or was cut for `cutReason`. */
  async of(
    name: string,
    result: ProgramResult,
    cutReason: Error | undefined,
    session: Pick<Session, "state" | "ended">,
  ): Promise<MigrationError> {
    // The streams end before the session says why it does.
    if (cutReason && session.state === "ended") {
      const waiting = withDeadline(this.#clock, CAUSE_MS, "the session", session.ended);
      const why = await waiting.catch(() => {});
      if (why) this.take(why);
    }
    if (this.#cause) return this.#cause;
    if (cutReason instanceof MigrationError) return cutReason;
    if (!cutReason) return domainFailed(name, result);
    if (cutReason instanceof VirshGoneError) {
      const message = `${cutReason.message}, while it migrated domain ${name}. Was it killed?`;
      return new MigrationError("failed", "domain-failed", "source", message);
    }
    const message = `${cutReason.message} while it migrated domain ${name}. Its log has the reason`;
    return new MigrationError("failed", "libvirt-gone", "destination", message);
  }
}
