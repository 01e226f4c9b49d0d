/** Tries over a new connection that bring nothing, until its target is taken for broken. */
const HOPELESS = 10;
/** How long QEMU may take for a new connection, ms; it tries at intervals that grow to 16 s. */
export const CONNECT_MS = 60_000;
/** Pause between two tries, ms. */
const AGAIN_MS = 500;

/** The connections of the mirrors' targets. */
export interface Connections {
  /** How many have ended so far. */
  readonly lost: number;
  /** How many there are. */
  readonly open: number;
  /** The destination is known to be away, and may come back. */
  readonly away: boolean;
}

/**
 * Whether mirror jobs that stand because of an error at their target are to try again. A connection
 * that went comes back with a later try; without one that went, it is the target's medium. Pure.
 */
export class MirrorRetries {
  readonly #targets: number;
  readonly #jobs = new Map<string, Tried>();

  /** @param targets how many there are, each with a connection of its own. */
  constructor(targets: number) {
    this.#targets = targets;
  }

  /** @param now ms. */
  next(id: string, connections: Connections, now: number): "again" | "later" | "hopeless" {
    const { lost, open, away } = connections;
    const whole = open >= this.#targets;
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
