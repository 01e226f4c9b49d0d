/**
 * The source's part of the dialogue with the start script: brings about a vmferry of this version on the
 * other host, and sends this program's own file where none is there.
 *
 * @module
 */
import { encodeHex } from "@std/encoding/hex";
import { type BytePipe, messageOf, writeAll } from "../../io/mod.ts";
import type { OwnFile, OwnProgram } from "../transport.ts";
import { NoPrefaceError, type Preface, skipBanner } from "./banner.ts";
import { ANSWER, startScript } from "./start_script.ts";

export interface CarryOptions {
  readonly program: OwnProgram;
  /** The arguments of the peer's vmferry. */
  readonly args: readonly string[];
  /** What a vmferry begins with that a forced command starts at once, without a start script. */
  readonly preface: Preface;
  /** Called after each answer, and as the file is sent: bytes sent so far and in all. */
  readonly onProgress: (sent: number, total: number) => void;
}

/** How the peer's vmferry came about; `forced`: the other host decides what a login runs. */
export type Origin = "installed" | "cached" | "carried" | "forced";

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
  { program, args, preface, onProgress }: CarryOptions,
): Promise<{ readonly origin: Origin; readonly rest: Uint8Array }> {
  const reading = read(program);
  const answers = new Answers(pipe, preface);
  if ((await answers.first()) === "preface") return { origin: "forced", rest: answers.rest };
  const { file, noFile } = await reading;
  const sent = file && {
    ...{ size: file.bytes.length, room: file.roomBytes },
    sha256: encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", file.bytes))),
  };
  const { version, machines } = program;
  await writeAll(pipe, startScript({ version, machines, file: sent, args }));
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

const ANSWER_BYTES = new TextEncoder().encode(ANSWER);

/** The lines of the start script, past whatever a login prints. */
class Answers {
  readonly #pipe: Pick<BytePipe, "read">;
  readonly #preface: Preface;
  #rest: Uint8Array = new Uint8Array();

  constructor(pipe: Pick<BytePipe, "read">, preface: Preface) {
    this.#pipe = pipe;
    this.#preface = preface;
  }

  /** What was read behind the last answer. */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /**
   * Waits for the remote command, or for a vmferry that was started in its place.
   *
   * @throws {NoPrefaceError} when neither comes.
   */
  async first(): Promise<"preface" | "answer"> {
    const seen = await this.#skip(this.#preface.bytes);
    this.#rest = seen.slice();
    if (ANSWER_BYTES.some((byte, i) => byte !== seen[i])) return "preface";
    await this.next();
    return "answer";
  }

  /** @throws {NoPrefaceError} when none comes. */
  async next(): Promise<{ readonly word: string; readonly detail: string }> {
    let seen = await this.#skip();
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
    const line = new TextDecoder().decode(seen.subarray(ANSWER_BYTES.length, end)).trim();
    const [, word = "", detail = ""] = /^(\S*) ?(.*)$/.exec(line) ?? [];
    return { word, detail };
  }

  #skip(or?: Uint8Array): Promise<Uint8Array> {
    const { maxBanner } = this.#preface;
    const expected = { bytes: ANSWER_BYTES, maxBanner, ...(or ? { or } : {}) };
    return skipBanner({ read: (into) => this.#read(into) }, expected);
  }

  async #read(into: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) return await this.#pipe.read(into);
    const n = Math.min(into.length, this.#rest.length);
    into.set(this.#rest.subarray(0, n));
    this.#rest = this.#rest.slice(n);
    return n;
  }
}
