/**
 * What a QEMU wrote to its log before it ended, as a quotation in a message. Pure.
 *
 * @module
 */
import { printable } from "../io/mod.ts";

/**
 * What QEMU has written to its standard error since the migration began; `undefined` where its log
 * cannot be found or read, or is empty. Never rejects, and answers within a second or two.
 */
export type LastWords = () => Promise<string | undefined>;

/** Lines that are quoted: QEMU names the device first and the failure of the whole load last. */
const MOST_LINES = 5;
/** Longest quotation, characters. A session's end carries 1 KiB, with the advice behind it. */
const LONGEST = 600;

// deno-lint-ignore no-control-regex
const ANSI = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)/g;

/**
 * The last lines of a log in one line, without its warnings where it has more than these.
 *
 * @returns `undefined` when nothing is in it.
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
