/**
 * Text as mdoc(7), the language of manual pages. Pure.
 *
 * @module
 */

/** Longest line of the source, bytes. */
const WIDTH = 78;

/** Characters that roff would change or read as its own. */
const SPECIAL: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "'": "\\(aq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
};

/** Text to be shown as it is, also by a reader that copies it into a shell. */
export function literal(text: string): string {
  return text.replace(/[\\'`^~]/g, (c) => SPECIAL[c]!).replaceAll("-", "\\-");
}

/** The same as one argument of a macro. */
export function argument(text: string): string {
  return /^[A-Z][a-z]$|[\s"]|^[|.,:;()[\]?!]$/.test(text)
    ? `"${literal(text).replaceAll('"', '""')}"`
    : literal(text);
}

/** Prose: a sentence a line and more where it is long; flags keep their dashes. */
export function prose(text: string): string[] {
  return text.split(/(?<=[.?!]) (?=[A-Z'"-])/).flatMap((sentence) =>
    wrap(sentence).map((line) => guarded(words(line)))
  );
}

/** Lines as they are, such as commands. */
export function display(lines: readonly string[]): string[] {
  return [".Bd -literal -offset indent", ...lines.map((line) => guarded(literal(line))), ".Ed"];
}

/** Escapes what is special in prose; a dash that belongs to a flag or an option stays one. */
function words(line: string): string {
  return line.replace(/[\\'`^~]/g, (c) => SPECIAL[c]!)
    .replace(/(?<![\w-])--?(?=[A-Za-z])[\w-]*|(?<=\s|^)--(?=\s|$)/g, (flag) => literal(flag));
}

/** A line that begins like a request is no request. */
function guarded(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH - 8) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
