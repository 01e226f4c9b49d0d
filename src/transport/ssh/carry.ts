/**
 * The source's part of the dialogue with the start script: brings about a vmferry of this version on the
 * other host, and sends this program's own file where none is there.
 *
 * @module
 */
import { encodeHex } from "@std/encoding/hex";
import { type BytePipe, messageOf, writeAll } from "../../io/mod.ts";
import type { OwnFile, OwnProgram } from "../transport.ts";
import { NoPrefaceError, skipBanner } from "./banner.ts";
import { ANSWER, startScript } from "./start_script.ts";

export interface CarryOptions {
  readonly program: OwnProgram;
  /** The arguments of the peer's vmferry. */
  readonly args: readonly string[];
  /** How much text a login may print before an answer, bytes. */
  readonly maxBanner: number;
  /** Called after each answer, and as the file is sent: bytes sent so far and in all. */
  readonly onProgress: (sent: number, total: number) => void;
}

/** How the peer's vmferry came about. */
export type Origin = "installed" | "cached" | "carried";

/** The other host can't take this program. `why` is the start script's word. */
export class CannotCarryError extends Error {
  /** Name of the class, for stacks. */
  override name = "CannotCarryError";
  readonly why: string;
  readonly detail: string;
  /** Why this program has no file to send, if it has none. */
  readonly noFile: string | undefined;

  constructor(why: string, detail: string, noFile?: string) {
    super(`${why} ${detail}`);
    this.why = why;
    this.detail = detail;
    this.noFile = noFile;
  }
}

/** Bytes that are sent between two calls of `onProgress`. */
const PIECE = 64 * 1024;
/** Longest answer, bytes. */
const MAX_ANSWER = 4096;

/**
 * Talks to the start script until it has handed over to a vmferry.
 *
 * @returns how that vmferry came about, and the bytes that were read behind the last answer.
 * @throws {CannotCarryError} when the other host has no vmferry and can't take this one.
 * @throws {NoPrefaceError} when no start script answers.
 */
export async function carry(
  pipe: Pick<BytePipe, "read" | "write">,
  { program, args, maxBanner, onProgress }: CarryOptions,
): Promise<{ readonly origin: Origin; readonly rest: Uint8Array }> {
  const { file, noFile } = await read(program);
  const sent = file && {
    ...{ size: file.bytes.length, room: file.roomBytes },
    sha256: encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", file.bytes))),
  };
  const { version, machines } = program;
  await writeAll(pipe, startScript({ version, machines, file: sent, args }));
  const answers = new Answers(pipe, maxBanner);
  let answer = await answers.next();
  const total = file?.bytes.length ?? 0;
  onProgress(0, total);
  if (answer.word === "need" && file) {
    const stop = new AbortController();
    // A host that runs out of room answers before it has all.
    const sending = send(pipe, file.bytes, onProgress, stop.signal);
    sending.catch(() => {});
    try {
      answer = await answers.next();
    } finally {
      stop.abort();
    }
    if (answer.word === "carried") await sending;
  }
  const { word, detail } = answer;
  switch (word) {
    case "installed":
    case "cached":
    case "carried":
      return { origin: word, rest: answers.rest };
    case "cannot": {
      const [why = "", ...more] = detail.split(" ");
      throw new CannotCarryError(why, more.join(" "), noFile);
    }
    default:
      throw new NoPrefaceError(new TextEncoder().encode(`${word} ${detail}`));
  }
}

async function read(program: OwnProgram): Promise<{ file?: OwnFile; noFile?: string }> {
  try {
    return { file: await program.read() };
  } catch (error) {
    return { noFile: messageOf(error) };
  }
}

async function send(
  pipe: Pick<BytePipe, "write">,
  bytes: Uint8Array,
  onProgress: (sent: number, total: number) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let at = 0; at < bytes.length && !signal.aborted; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    await writeAll(pipe, piece);
    if (!signal.aborted) onProgress(at + piece.length, bytes.length);
  }
}

/** The lines of the start script, past whatever a login prints. */
class Answers {
  readonly #pipe: Pick<BytePipe, "read">;
  readonly #maxBanner: number;
  #rest: Uint8Array = new Uint8Array();

  constructor(pipe: Pick<BytePipe, "read">, maxBanner: number) {
    this.#pipe = pipe;
    this.#maxBanner = maxBanner;
  }

  /** What was read behind the last answer. */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /** @throws {NoPrefaceError} when none comes. */
  async next(): Promise<{ readonly word: string; readonly detail: string }> {
    const bytes = new TextEncoder().encode(ANSWER);
    let seen = await skipBanner({ read: (into) => this.#read(into) }, {
      ...{ bytes, maxBanner: this.#maxBanner },
    });
    let end: number;
    while ((end = seen.indexOf(0x0a)) < 0) {
      const more = new Uint8Array(MAX_ANSWER);
      const n = seen.length > MAX_ANSWER ? null : await this.#pipe.read(more);
      if (n === null) throw new NoPrefaceError(seen);
      const longer = new Uint8Array(seen.length + n);
      longer.set(seen);
      longer.set(more.subarray(0, n), seen.length);
      seen = longer;
    }
    this.#rest = seen.slice(end + 1);
    const line = new TextDecoder().decode(seen.subarray(bytes.length, end)).trim();
    const [, word = "", detail = ""] = /^(\S*) ?(.*)$/.exec(line) ?? [];
    return { word, detail };
  }

  async #read(into: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) return await this.#pipe.read(into);
    const n = Math.min(into.length, this.#rest.length);
    into.set(this.#rest.subarray(0, n));
    this.#rest = this.#rest.slice(n);
    return n;
  }
}
