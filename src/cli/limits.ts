/**
 * Limits of a migration as they are typed. Pure.
 *
 * @module
 */
import type { LimitChange } from "../migrate/mod.ts";
import { parseDuration, parseSize } from "./size.ts";
import { UsageError } from "./usage_error.ts";

/** What `parseSize` reads, in words. */
export const BANDWIDTH = "bytes a second, as 500M or 1.5G";
/** What {@link parseDowntime} reads, in words. */
export const DOWNTIME = "milliseconds, as 300 or 300ms, at most 2000 s";

/** The longest downtime limit that QEMU takes, ms. */
const MAX_DOWNTIME_MS = 2_000_000;

/** Reads `300`, `300ms` or `1.5s`. Returns milliseconds; `undefined` when it is none. */
export function parseDowntime(text: string): number | undefined {
  const ms = parseDuration(text, "ms");
  return ms !== undefined && ms <= MAX_DOWNTIME_MS ? ms : undefined;
}

/**
 * Reads `bandwidth=500M` (or `=none`) and `max-downtime=300`, one or both.
 *
 * @throws {UsageError} saying what is wrong with them.
 */
export function parseLimitChange(words: readonly string[]): LimitChange {
  const change: { bandwidth?: number | null; maxDowntimeMs?: number } = {};
  const once = (name: keyof typeof change, word: string) => {
    if (name in change) throw new UsageError(`"${word}": it was given twice`);
  };
  for (const word of words) {
    const [name, value = "", ...more] = word.split("=");
    if (name === "bandwidth") {
      once("bandwidth", word);
      const bytes = value === "none" ? null : parseSize(value);
      if (bytes === undefined || more.length > 0) {
        throw new UsageError(`bandwidth: got "${value}", expected ${BANDWIDTH}, or none`);
      }
      change.bandwidth = bytes;
    } else if (name === "max-downtime") {
      once("maxDowntimeMs", word);
      const ms = parseDowntime(value);
      if (ms === undefined || more.length > 0) {
        throw new UsageError(`max-downtime: got "${value}", expected ${DOWNTIME}`);
      }
      change.maxDowntimeMs = ms;
    } else {
      throw new UsageError(`got "${word}", expected bandwidth=SIZE or max-downtime=MS`);
    }
  }
  if (words.length === 0) throw new UsageError("set needs bandwidth=SIZE or max-downtime=MS");
  return change;
}
