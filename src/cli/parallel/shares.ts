/**
 * How a bandwidth is divided. Pure.
 *
 * @module
 */

/** One that takes a share. Bytes per second. */
export interface Sharer {
  /** The limit for all together, as it was given to this one. */
  readonly hostBandwidth: number;
  /** What it can use; `null`: as much as it gets. */
  readonly wants: number | null;
}

/** How much of its equal share one keeps that uses nothing of it: it may need it again any moment. */
const KEPT = 0.1;
/** From which part of its share on one is taken to use all of it. */
const BUSY = 0.8;

/**
 * The share of each, bytes per second: equal ones; what somebody does not want is divided equally among the
 * others. The lowest of the limits counts. Their sum is that limit.
 */
export function fairShares(sharers: readonly Sharer[]): number[] {
  const limit = Math.min(...sharers.map(({ hostBandwidth }) => hostBandwidth));
  const shares = sharers.map(() => 0);
  const ordered = sharers.map(({ wants }, index) => ({ index, wants: wants ?? Infinity }))
    .sort((a, b) => a.wants - b.wants);
  let left = limit;
  ordered.forEach(({ index, wants }, done) => {
    const share = Math.min(wants, left / (ordered.length - done));
    shares[index] = share;
    left -= share;
  });
  // Nobody can use it now; it is ready for those who can in a moment.
  return shares.map((share) => Math.max(1, Math.floor(share + left / sharers.length)));
}

/**
 * What one can use that sent at `rate` while it had `share`, bytes per second; `null`: as much as it gets. A rate
 * below its share is what its guest or its peer can do: it wants that and a reserve, and at least a tenth of
 * `equal`, the share if everybody wants everything. In powers of two, so that shares do not change all the time.
 */
export function wanted(rate: number, share: number, equal: number): number | null {
  if (rate >= share * BUSY) return null;
  const least = Math.max(rate / BUSY * 1.25, equal * KEPT, 1);
  return 2 ** Math.ceil(Math.log2(least));
}
