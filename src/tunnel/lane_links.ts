import type { Lane } from "./lane.ts";
import type { LinkChange } from "./session_connection.ts";

/**
 * The connections of all lanes as one: down from the moment that the first of them is lost until every
 * lane has one again. It reports each loss, since each may keep other streams waiting. Owned by the session.
 */
export class LaneLinks {
  readonly #down = new Set<Lane>();
  readonly #listeners = new Set<(change: LinkChange) => void>();

  /** Watches the first lane. */
  constructor(first: Lane) {
    this.#watch(first);
  }

  /** Some lane has lost its connection. */
  get isDown(): boolean {
    return this.down > 0;
  }

  /** How many lanes have lost theirs. */
  get down(): number {
    return this.#down.size;
  }

  /** Watches a lane that has joined, in place of one that it replaces. */
  add(lane: Lane, replaced: Lane | undefined): void {
    if (replaced) this.remove(replaced);
    this.#watch(lane);
  }

  /** Waits for this lane no longer. */
  remove(lane: Lane): void {
    this.#up(lane);
  }

  /** {@inheritDoc Session.onLink} */
  onChange(listener: (change: LinkChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #watch(lane: Lane): void {
    lane.onLink((change) => {
      if (change.state === "up") return this.#up(lane);
      this.#down.add(lane);
      this.#report(change);
    });
    // Without a cause nothing is missing any more; else the session ends, or gives the lane up.
    lane.ended.then((cause) => cause ?? this.#up(lane));
  }

  #up(lane: Lane): void {
    if (this.#down.delete(lane) && !this.isDown) this.#report({ state: "up", cause: undefined });
  }

  #report(change: LinkChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
