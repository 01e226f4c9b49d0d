/**
 * How much memory this process has in use. Needs `--v8-flags=--expose-gc`. Keep what is measured referenced
 * until after the last look.
 *
 * @module
 */

/** Looks, and the time between them, ms: V8 frees buffers some time after the collection. */
const LOOKS = 10;
const PAUSE_MS = 20;

/** Bytes of JavaScript objects and buffers, without garbage: the least of some looks. */
export async function memoryInUse(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  let least = Infinity;
  for (let look = 0; look < LOOKS; look++) {
    gc!();
    const { heapUsed, external } = Deno.memoryUsage();
    least = Math.min(least, heapUsed + external);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return least;
}
