import type { Session } from "../tunnel/mod.ts";

/** What carries the migration, as far as waits go by it: a session, or what outlives several. */
export type Carrier = Pick<Session, "progress" | "patienceMs">;

/** How a wait is ended. */
export interface Patience {
  /** How long there may be no progress, ms. */
  readonly stallMs: number;
  /** Grows with every byte of the session that is acknowledged or comes. */
  readonly progress: () => number;
}

/**
 * The end of a wait for what crosses the connection: its own time, and as long on top as the connection may
 * be away, both counted anew with every acknowledged byte. So no wait ends a migration before the grace
 * does, and none goes on where nothing comes any more.
 *
 * @param ownMs how long the wait may be where the connection is there, ms.
 */
export function patience(ownMs: number, carrier: () => Carrier | undefined): Patience {
  return {
    stallMs: ownMs + (carrier()?.patienceMs ?? 0),
    progress: () => carrier()?.progress ?? 0,
  };
}
