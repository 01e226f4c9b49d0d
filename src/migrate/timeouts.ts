import type { Session } from "../tunnel/mod.ts";

/** The part of a session that renews waits; also of a connection that outlives several sessions. */
export type Carrier = Pick<Session, "progress" | "patienceMs">;

/** When a wait ends. */
export interface Patience {
  /** How long there may be no progress, ms. */
  readonly stallMs: number;
  /** A number that grows with every byte that is received or acknowledged. */
  readonly progress: () => number;
}

/**
 * The end of a wait for data that crosses the connection: `ownMs` plus the time that the connection may be
 * lost for, counted anew after every acknowledged byte. So no wait ends a migration before --grace does,
 * and none lasts longer without progress.
 *
 * @param ownMs how long the wait may be while the connection is up, ms.
 */
export function patience(ownMs: number, carrier: () => Carrier | undefined): Patience {
  return {
    stallMs: ownMs + (carrier()?.patienceMs ?? 0),
    progress: () => carrier()?.progress ?? 0,
  };
}
