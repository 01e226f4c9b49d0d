/**
 * Commands as text for a POSIX shell. Pure.
 *
 * @module
 */

/**
 * Arguments as a shell reads them: each is one word, whatever characters it has.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(shellCommand(["mkdir", "-p", "/a b"]), "mkdir -p '/a b'");
 * ```
 */
export function shellCommand(argv: readonly string[]): string {
  return argv.map(shellWord).join(" ");
}

function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A text that no shell would read to its end. */
export class ShellWordError extends Error {
  /** The class, also in a bundle. */
  override name = "ShellWordError";
}

/**
 * Splits a command line as a POSIX shell does, without expansions: blanks and line ends separate words,
 * `'…'`, `"…"` and `\` quote, a `#` at the beginning of a word begins a comment. Text with NUL characters is
 * split at them and has no quotes, as in `/proc/PID/cmdline`.
 *
 * @throws {ShellWordError} for a quote without its end, and for what a shell would expand or run: `$`, a
 * backquote, `|`, `&`, `;`, `<`, `>`, `(`, `)`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(splitWords("qemu -name 'vm 1' \\\n -m 4G\n"), ["qemu", "-name", "vm 1", "-m", "4G"]);
 * ```
 */
export function splitWords(text: string): string[] {
  if (text.includes("\0")) return text.replace(/\0$/, "").split("\0");
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "\\") {
      const next = text[++i];
      if (next === undefined) throw new ShellWordError("it ends with a backslash");
      if (next !== "\n") word = (word ?? "") + next;
    } else if (c === "'") {
      const end = text.indexOf("'", i + 1);
      if (end < 0) throw new ShellWordError("a ' is not closed");
      word = (word ?? "") + text.slice(i + 1, end);
      i = end;
    } else if (c === '"') {
      const [quoted, end] = doubleQuoted(text, i + 1);
      word = (word ?? "") + quoted;
      i = end;
    } else if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (c === "#" && word === undefined) {
      const end = text.indexOf("\n", i);
      i = end < 0 ? text.length : end;
    } else if (/[$`|&;<>()]/.test(c)) {
      throw new ShellWordError(`"${c}" is not quoted, expected a command line without expansions`);
    } else {
      word = (word ?? "") + c;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** @returns the text between the quotes, and the index of the closing one. */
function doubleQuoted(text: string, start: number): [string, number] {
  let quoted = "";
  for (let i = start; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"') return [quoted, i];
    if (c === "$" || c === "`") {
      throw new ShellWordError(`"${c}" in "…" is not quoted, expected no expansions`);
    }
    const next = text[i + 1] ?? "";
    if (c !== "\\" || !'\\"$`\n'.includes(next) || next === "") quoted += c;
    else {
      if (next !== "\n") quoted += next;
      i++;
    }
  }
  throw new ShellWordError('a " is not closed');
}
