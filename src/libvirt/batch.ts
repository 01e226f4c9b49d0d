/**
 * Several commands of virsh in one process, with one connection: `virsh 'list; echo MARK; pool-list'`. Pure.
 *
 * virsh runs a command that is one argument as a list of commands, separated by `;` (libvirt's
 * tools/vsh.c, vshCommandStringGetArg, the same in 6.8 to 11). It goes on after a command that fails,
 * and its exit code is that of the last one. So a batch counts only if nothing of it went wrong.
 *
 * @module
 */
import type { ProgramResult } from "../host/mod.ts";

/** Most commands of a batch: their answers together stay far below what is read of a program. */
const MOST_COMMANDS = 32;
/** Most characters of a batch: Linux takes 128 KiB in one argument. */
const MOST_CHARACTERS = 16 * 1024;

/**
 * A word as virsh reads it in a list of commands. Between single quotes it takes every character but `'`
 * as it is; `\'` stands outside of them.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(quoteWord("--uuid"), "--uuid");
 * assertEquals(quoteWord("a; b"), "'a; b'");
 * assertEquals(quoteWord("it's"), `'it'\\''s'`);
 * ```
 */
export function quoteWord(word: string): string {
  return /^[A-Za-z0-9_.,:=/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * The list of commands, with a mark on a line of its own after each.
 *
 * @param mark a text that occurs in no answer, not even in one that somebody has chosen for that.
 */
export function joinCommands(commands: readonly (readonly string[])[], mark: string): string {
  const echo = `echo ${quoteWord(`\n${mark}\n`)}`;
  return commands.flatMap((words) => [words.map(quoteWord).join(" "), echo]).join("; ");
}

/**
 * The answers of {@link joinCommands}, in its order.
 *
 * @returns `undefined` where a command may have failed.
 */
export function splitAnswers(
  { code, stdout, stderr }: ProgramResult,
  count: number,
  mark: string,
): string[] | undefined {
  // A command that fails has written its reason to standard error.
  if (code !== 0 || stderr.trim() !== "") return undefined;
  const parts = stdout.split(`\n${mark}\n`);
  return parts.length === count + 1 && parts[count] === "" ? parts.slice(0, count) : undefined;
}

/** Splits commands into batches of a bounded size, in their order. */
export function batches<T extends { readonly args: readonly string[] }>(
  asked: readonly T[],
): T[][] {
  const found: T[][] = [];
  let characters = Infinity;
  for (const one of asked) {
    const length = one.args.reduce((sum, word) => sum + word.length + 8, 0);
    const last = found.at(-1);
    const fits = last && last.length < MOST_COMMANDS && characters + length <= MOST_CHARACTERS;
    if (fits) last.push(one);
    else found.push([one]);
    characters = fits ? characters + length : length;
  }
  return found;
}
