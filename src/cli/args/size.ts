/**
 * Sizes and durations as people type and read them. Units are binary, as QEMU reads them.
 *
 * @module
 */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const POWERS: Readonly<Record<string, number>> = { B: 0, K: 1, M: 2, G: 3, T: 4 };

/**
 * Reads `500M`, `1.5G`, `64KiB`, or plain bytes.
 *
 * @returns whole bytes, at least 1; `undefined` when it is no size.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([BKMGT])?(?:i?B)?$/i.exec(text);
  if (!match) return undefined;
  const bytes = Math.round(Number(match[1]) * 1024 ** POWERS[(match[2] ?? "B").toUpperCase()]!);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/** Bytes as `1.50 GiB`: three digits whatever the size, which @std/fmt cannot, so that lines do not jump. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/**
 * Reads `300`, `300ms`, `1.5s` or `2m`; a plain number counts in `unit`.
 *
 * @returns milliseconds; `undefined` when it is no duration.
 */
export function parseDuration(text: string, unit: "ms" | "s"): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (!match) return undefined;
  const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const ms = Math.round(Number(match[1]) * factors[match[2] ?? unit]!);
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** Seconds as `42 s`, `3 min 20 s`, `2 h 5 min`: @std/fmt prints every unit down to nanoseconds. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
}
