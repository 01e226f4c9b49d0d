/** Tries after a connection was lost that bring nothing, until its target is taken for broken. */
const HOPELESS = 4;
/** Pause between two tries, ms. */
const AGAIN_MS = 500;

/** What is known of the targets' connections. */
export interface Connections {
  /** Connections that have ended so far. */
  readonly lost: number;
  /** The targets are known to be away, and may come back. */
  readonly away: boolean;
}

/**
 * Whether mirror jobs that stand because of an error at their target are to try again. A connection
 * that went comes back with a later try; without one that went, it is the target's medium. Pure.
 */
export class MirrorRetries {
  readonly #jobs = new Map<string, { lost: number; tries: number; at: number }>();

  /** @param now ms. */
  next(id: string, { lost, away }: Connections, now: number): "again" | "later" | "hopeless" {
    if (lost === 0 && !away) return "hopeless";
    const before = this.#jobs.get(id);
    if (before && now - before.at < AGAIN_MS) return "later";
    const tries = away || lost !== before?.lost ? 1 : before.tries + 1;
    this.#jobs.set(id, { lost, tries, at: now });
    return tries > HOPELESS ? "hopeless" : "again";
  }
}
