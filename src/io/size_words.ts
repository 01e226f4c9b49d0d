const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/**
 * A size for messages: exact where a unit fits, else with one decimal place and the bytes. Two sizes that
 * differ never look the same.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { exactSize } from "./size_words.ts";
 *
 * assertEquals(exactSize(10 * 2 ** 30), "10 GiB");
 * assertEquals(exactSize(1_500_000), "1.4 MiB (1500000 bytes)");
 * ```
 */
export function exactSize(n: number): string {
  if (n < 1024) return `${n} bytes`;
  const power = Math.min(Math.floor(Math.log2(n) / 10), UNITS.length);
  const value = n / 1024 ** power;
  const unit = UNITS[power - 1]!;
  return Number.isInteger(value) ? `${value} ${unit}` : `${value.toFixed(1)} ${unit} (${n} bytes)`;
}

/** A size for messages where about is enough, such as free room. */
export function aboutSize(n: number): string {
  return exactSize(n).replace(/ \(.*/, "");
}
