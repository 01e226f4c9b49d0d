/** Tries over a new connection that bring nothing, until its target is taken for broken. */
const HOPELESS = 10;
/** How long QEMU may take for a new connection, ms; it tries at intervals that grow to 16 s. */
const CONNECT_MS = 60_000;
/** Pause between two tries, ms. */
const AGAIN_MS = 500;

/** What is known of the targets' connections. */
export interface Connections {
  /** Connections that have ended so far. */
  readonly lost: number;
  /** Every target has one. */
  readonly whole: boolean;
  /** The targets are known to be away, and may come back. */
  readonly away: boolean;
}

/**
 * Whether mirror jobs that stand because of an error at their target are to try again. A connection
 * that went comes back with a later try; without one that went, it is the target's medium. Pure.
 */
export class MirrorRetries {
  readonly #jobs = new Map<string, Tried>();

  /** @param now ms. */
  next(id: string, connections: Connections, now: number): "again" | "later" | "hopeless" {
    const { lost, whole, away } = connections;
    if (lost === 0 && !away) return "hopeless";
    const before = this.#jobs.get(id);
    if (before && now - before.at < AGAIN_MS) return "later";
    const fresh = !before || away || lost !== before.lost;
    const tries = fresh || !whole ? 0 : before.tries + 1;
    const since = fresh ? now : before.since;
    this.#jobs.set(id, { lost, tries, since, at: now });
    return tries > HOPELESS || (!whole && now - since > CONNECT_MS) ? "hopeless" : "again";
  }
}

interface Tried {
  readonly lost: number;
  readonly tries: number;
  readonly since: number;
  readonly at: number;
}
