/** Failed tries over one connection after which the target's storage is taken for broken. */
const HOPELESS = 10;
/** How long QEMU may take to reconnect, ms; it tries at intervals that grow to 16 s. */
export const CONNECT_MS = 60_000;
/** Pause between two tries, ms. */
const AGAIN_MS = 500;

/** The connections from the source's QEMU to the mirrors' targets. */
export interface Connections {
  /** How many have ended so far. */
  readonly lost: number;
  /** How many there are. */
  readonly open: number;
  /** The destination cannot be reached, and may come back. */
  readonly away: boolean;
}

/**
 * Whether to resume a mirror job that QEMU paused because of an error at its target. After a lost
 * connection a later try succeeds; without a lost connection the error is the target's storage. Pure.
 */
export class MirrorRetries {
  readonly #targets: number;
  readonly #jobs = new Map<string, Tried>();

  /** @param targets number of targets; each has its own connection. */
  constructor(targets: number) {
    this.#targets = targets;
  }

  /**
   * @param id of the paused job.
   * @param now ms.
   * @returns `again`: resume the job now; `later`: ask again later; `hopeless`: the target has failed.
   */
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
