/**
 * How long a round trip of the RPC takes.
 *
 * @module
 */
import { delay, systemClock } from "../../src/io/mod.ts";

/** Between the end of one round trip and the start of the next, ms. */
const PAUSE_MS = 10;

/**
 * Makes round trips until `stop`: connects to where the other end is asked for a channel that it
 * does not have, and waits until it was refused.
 *
 * @returns how long each took, ms.
 */
export async function roundTrips(refusedPath: string, stop: AbortSignal): Promise<number[]> {
  const taken: number[] = [];
  const scrap = new Uint8Array(1);
  while (!stop.aborted) {
    const start = performance.now();
    const conn = await Deno.connect({ transport: "unix", path: refusedPath });
    try {
      if (await conn.read(scrap) !== null) throw new Error("The refused channel sent something");
    } finally {
      conn.close();
    }
    taken.push(performance.now() - start);
    await delay(systemClock, PAUSE_MS);
  }
  return taken;
}
