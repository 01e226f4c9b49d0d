/**
 * Limits of a migration as they are typed. Pure.
 *
 * @module
 */
import type { SetChange } from "../control/protocol.ts";
import { parseDuration, parseSize } from "./size.ts";
import { parseTimeoutAction, TIMEOUT_ACTION } from "./timeout.ts";
import { UsageError } from "./usage_error.ts";

/** What `parseSize` reads, as text. */
export const BANDWIDTH = "bytes a second, as 500M or 1.5G";
/** What {@link parseDowntime} reads, as text. */
export const DOWNTIME = "milliseconds, as 300 or 300ms, at most 2000 s";

/** The longest downtime limit that QEMU takes, ms. */
const MAX_DOWNTIME_MS = 2_000_000;

/** Reads `300`, `300ms` or `1.5s`. Returns milliseconds; `undefined` when it is none. */
export function parseDowntime(text: string): number | undefined {
  const ms = parseDuration(text, "ms");
  return ms !== undefined && ms <= MAX_DOWNTIME_MS ? ms : undefined;
}

/** What `set` accepts, as text. */
const SETTINGS = "bandwidth=SIZE, max-downtime=MS, pause=when-copied, timeout=SECONDS, " +
  "timeout-action=ACTION, auto-converge=on|off or postcopy=now|never";

/** A day, ms. */
const MAX_TIMEOUT_MS = 86_400_000;

/** Reads `600`, `600s` or `10m`, or `none`. Returns ms, 0 for none. */
function parseTimeout(text: string): number | undefined {
  if (text === "none") return 0;
  const ms = parseDuration(text, "s");
  return ms !== undefined && ms <= MAX_TIMEOUT_MS ? ms : undefined;
}

/**
 * Reads `bandwidth=500M` (or `=none`), `max-downtime=300`, `pause=when-copied`, `timeout=600` (or
 * `=none`), `timeout-action=pause`, `auto-converge=on` (or `=off`) and `postcopy=now` (or `=never`), some of them.
 *
 * @throws {UsageError} saying what is wrong with them.
 */
export function parseLimitChange(words: readonly string[]): SetChange {
  const change: { -readonly [K in keyof SetChange]: SetChange[K] } = {};
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
    } else if (name === "pause") {
      once("pause", word);
      if (word !== "pause=when-copied") {
        throw new UsageError(`pause: got "${value}", expected when-copied`);
      }
      change.pause = "when-copied";
    } else if (name === "timeout") {
      once("timeoutMs", word);
      const ms = parseTimeout(value);
      if (ms === undefined || more.length > 0) {
        throw new UsageError(`timeout: got "${value}", expected seconds, at most a day, or none`);
      }
      change.timeoutMs = ms;
    } else if (name === "timeout-action") {
      once("timeoutAction", word);
      const action = parseTimeoutAction(value);
      if (action === undefined || more.length > 0) {
        throw new UsageError(`timeout-action: got "${value}", expected ${TIMEOUT_ACTION}`);
      }
      change.timeoutAction = action;
    } else if (name === "auto-converge") {
      once("autoConverge", word);
      if (value !== "on" && value !== "off" || more.length > 0) {
        throw new UsageError(`auto-converge: got "${value}", expected on or off`);
      }
      change.autoConverge = value === "on";
    } else if (name === "postcopy") {
      once("postcopy", word);
      if (value !== "now" && value !== "never" || more.length > 0) {
        throw new UsageError(`postcopy: got "${value}", expected now or never`);
      }
      change.postcopy = value;
    } else {
      throw new UsageError(`got "${word}", expected ${SETTINGS}`);
    }
  }
  if (words.length === 0) throw new UsageError(`set needs ${SETTINGS}`);
  return change;
}
