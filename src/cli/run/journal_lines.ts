/**
 * The text of a journal: JSON lines, of which the last whole one counts. Pure.
 *
 * @module
 */
import { parseExact } from "../../io/mod.ts";

/**
 * The value of the last whole line; `undefined` where there is none.
 *
 * A kill may cut a line short. The next record then begins a line of its own behind it.
 */
export function lastValue(text: string): unknown {
  // What stands behind the last line's end was cut short.
  for (const line of text.split("\n").slice(0, -1).reverse()) {
    try {
      return parseExact(line);
    } catch {
      // It was cut short, and more was written behind it.
    }
  }
  return undefined;
}
