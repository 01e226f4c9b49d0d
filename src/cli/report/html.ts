/**
 * Pieces of HTML. Whatever is not HTML already is escaped, and so are control and bidi characters: names of disks,
 * messages of QEMU and of the other end are text of others. Pure.
 *
 * @module
 */
import { printable } from "../../io/mod.ts";

/** Longest text in a page, characters. */
const LONGEST = 4000;

/** HTML that is safe to put into a page. */
export class Html {
  readonly text: string;

  /** @param text HTML, not text. */
  constructor(text: string) {
    this.text = text;
  }
}

type Piece = string | number | null | undefined | Html | readonly Piece[];

/**
 * A template of HTML: each `${}` is escaped, unless it is {@link Html}. It is not called `html`: Deno's formatter
 * changes the text of such templates, and the page's policy names scripts by their hashes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * assertEquals(markup`<b>${"<i>"}</b>`.text, "<b>&#60;i&#62;</b>");
 * ```
 */
export function markup(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  const text = parts.map((part, i) => i === 0 ? part : pieceText(pieces[i - 1]) + part).join("");
  return new Html(text);
}

/** Text as HTML, its lines kept. */
export function escape(text: string): string {
  const clean = text.split("\n").map((line) => printable(line, LONGEST)).join("\n");
  return clean.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/**
 * JSON for a `script` element: no character in it can end the element or open a comment in it.
 *
 * @param value what JSON can hold.
 */
export function scriptJson(value: unknown): Html {
  const json = JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, escapeUnit);
  return new Html(json);
}

/** A table; nothing without rows. */
export function table(
  caption: string,
  heads: readonly string[],
  rows: readonly (readonly Piece[])[],
): Html {
  if (rows.length === 0) return new Html("");
  const head = heads.map((name) => markup`<th scope="col">${name}</th>`);
  const body = rows.map((cells) =>
    markup`<tr>${cells.map((cell) => markup`<td>${cell}</td>`)}</tr>
`
  );
  return markup`<table><caption>${caption}</caption>
<thead><tr>${head}</tr></thead>
<tbody>${body}</tbody></table>
`;
}

function pieceText(piece: Piece): string {
  if (piece === null || piece === undefined) return "";
  if (piece instanceof Html) return piece.text;
  if (typeof piece === "object") return piece.map(pieceText).join("");
  return escape(String(piece));
}

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
