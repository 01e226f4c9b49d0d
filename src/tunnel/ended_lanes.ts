import type { EndedLane } from "./connection/handshake.ts";
import type { SessionIdentity } from "./connection/authenticate.ts";
import { MAX_SESSIONS } from "./limits.ts";
import type { SessionError } from "./errors.ts";

/** Lanes of which the end is remembered. */
const MAX_ENDED = MAX_SESSIONS;

/**
 * Why the last lanes of a listening end ended. When one lane is lost for good, the other lanes of its session end
 * here, too. The connecting end comes back for them, and gets the reason.
 */
export class EndedLanes {
  readonly #ended = new Map<string, EndedLane>();

  /** Remembers a lane; a clean end needs no reason. The oldest one is forgotten. */
  add(id: string, identity: SessionIdentity, cause: SessionError | undefined): void {
    if (!cause) return;
    this.#ended.set(id, { identity, reason: cause.message });
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > MAX_ENDED) this.#ended.delete(oldest!);
  }

  /** How the lane with this id ended; `undefined`: it is not known. */
  get(id: string): EndedLane | undefined {
    return this.#ended.get(id);
  }
}
