/**
 * JSON in a command line, as a flat list of its scalars with their places in the text, so that one of
 * them can change and everything else stays byte for byte. QEMU's JSON also has strings in single
 * quotes (qobject/json-lexer.c). Pure.
 *
 * @module
 */
import { CommandLineError } from "./command.ts";

/** A string, number, boolean or null in a JSON text. */
export interface JsonField {
  /** Path of keys and list indexes, such as `server.host` or `guestfwd.0.str`. */
  readonly key: string;
  /** A string's characters; the text of anything else, `true` as `on` and `false` as `off`. */
  readonly value: string;
  /** Where it stands in the text, in UTF-16 code units. */
  readonly start: number;
  readonly end: number;
}

const SPACE = /\s*/y;
const STRING = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/y;
const WORD = /[-+.\w]+/y;
const MAX_DEPTH = 64;

/**
 * The scalars of a JSON text, in its order.
 *
 * @throws {CommandLineError} when the text is no JSON object.
 */
export function jsonFields(text: string): JsonField[] {
  const reader = new Reader(text);
  reader.value("", 0);
  reader.end();
  return reader.fields;
}

/** A JSON string, as QEMU reads it. */
export function jsonString(value: string): string {
  return JSON.stringify(value);
}

class Reader {
  readonly fields: JsonField[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(key: string, depth: number): void {
    if (depth > MAX_DEPTH) this.#fail();
    this.#skip();
    const next = this.#text[this.#at];
    if (next === "{") return this.#object(key, depth);
    if (next === "[") return this.#list(key, depth);
    const start = this.#at;
    if (next === '"' || next === "'") {
      const value = this.#string();
      this.fields.push({ key, value, start, end: this.#at });
      return;
    }
    const word = this.#match(WORD);
    const value = word === "true" ? "on" : word === "false" ? "off" : word;
    this.fields.push({ key, value, start, end: this.#at });
  }

  end(): void {
    this.#skip();
    if (this.#at < this.#text.length) this.#fail();
  }

  #object(key: string, depth: number): void {
    this.#at++;
    if (this.#accept("}")) return;
    do {
      this.#skip();
      const name = this.#string();
      if (!this.#accept(":")) this.#fail();
      this.value(join(key, name), depth + 1);
    } while (this.#accept(","));
    if (!this.#accept("}")) this.#fail();
  }

  #list(key: string, depth: number): void {
    this.#at++;
    if (this.#accept("]")) return;
    let index = 0;
    do this.value(join(key, String(index++)), depth + 1); while (this.#accept(","));
    if (!this.#accept("]")) this.#fail();
  }

  #string(): string {
    const raw = this.#match(STRING);
    if (raw.startsWith('"')) return this.#decode(raw);
    // The same escapes in other quotes.
    const body = raw.slice(1, -1).replace(
      /\\.|"/gs,
      (c) => c === '"' ? '\\"' : c === "\\'" ? "'" : c,
    );
    return this.#decode(`"${body}"`);
  }

  #decode(text: string): string {
    try {
      return JSON.parse(text.replaceAll("\\'", "'")) as string;
    } catch {
      return this.#fail();
    }
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) this.#fail();
    this.#at += found.length;
    return found;
  }

  #accept(character: string): boolean {
    this.#skip();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skip(): void {
    this.#match(SPACE);
  }

  #fail(): never {
    // Without the text, which may hold a secret.
    throw new CommandLineError(`JSON is broken at character ${this.#at + 1}`);
  }
}

function join(key: string, name: string): string {
  return key === "" ? name : `${key}.${name}`;
}
