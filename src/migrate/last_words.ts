/**
 * The last lines of a QEMU's log, quoted in a message. Pure.
 *
 * @module
 */
import { printable } from "../io/mod.ts";

/**
 * Reads what QEMU has written to its standard error since the migration began. Resolves within two
 * seconds, with `undefined` where the log cannot be found or read, or is empty. Never rejects.
 */
export type LastWords = () => Promise<string | undefined>;

/** Most lines of a quotation: QEMU names the device first and the failure of the whole load last. */
const MOST_LINES = 5;
/** Longest quotation, characters. The end of a session carries 1 KiB, advice included. */
const LONGEST = 600;

// deno-lint-ignore no-control-regex
const ANSI = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)/g;

/**
 * The last lines of a log as one line, without warnings if it has other lines.
 *
 * @returns `undefined` for an empty log.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { quoteOf } from "./last_words.ts";
 *
 * assertEquals(quoteOf("qemu: warning: x\nqemu: no device\nqemu: load failed\n"),
 *   "qemu: no device; load failed");
 * ```
 */
export function quoteOf(log: string): string | undefined {
  const lines = log.replace(ANSI, "").split(/[\r\n]+/).map((line) =>
    printable(line.trim(), LONGEST)
  )
    .filter((line) => line !== "");
  const severe = lines.filter((line) => !/\bwarning: /.test(line));
  const last = (severe.length > 0 ? severe : lines).slice(-MOST_LINES);
  if (last.length === 0) return undefined;
  const program = /^\S+: /.exec(last[0]!)?.[0] ?? "";
  const [first, ...rest] = last;
  const short = rest.map((line) => line.startsWith(program) ? line.slice(program.length) : line);
  return printable([first, ...short].join("; "), LONGEST);
}
