import { type BytePipe, printable } from "../../io/mod.ts";

/** What the program at the other end begins with. */
export interface Preface {
  readonly bytes: Uint8Array;
  /** How much text may come before it, bytes. */
  readonly maxBanner: number;
}

/** What {@link skipBanner} looks for. */
export interface Expected extends Preface {
  /** May come instead. */
  readonly or?: Uint8Array;
}

/**
 * Reads past the text that a login shell prints before the program that it starts speaks.
 *
 * @returns what was read from the preface on.
 * @throws {NoPrefaceError} when none came.
 */
export async function skipBanner(
  pipe: Pick<BytePipe, "read">,
  { bytes, or, maxBanner }: Expected,
): Promise<Uint8Array> {
  const wanted = or ? [bytes, or] : [bytes];
  const longest = Math.max(...wanted.map((bytes) => bytes.length));
  const seen = new Uint8Array(maxBanner + longest);
  let length = 0;
  while (length < seen.length) {
    const n = await pipe.read(seen.subarray(length));
    if (n === null) throw new NoPrefaceError(seen.subarray(0, length));
    const from = Math.max(0, length - longest);
    length += n;
    const found = wanted.map((bytes) => indexOf(seen.subarray(0, length), bytes, from))
      .filter((at) => at >= 0);
    if (found.length > 0) return seen.subarray(Math.min(...found), length);
  }
  throw new NoPrefaceError(seen);
}

/** The other end said something and was no vmferry. */
export class NoPrefaceError extends Error {
  override name = "NoPrefaceError";
  /** Its last line that is not empty; control characters are made visible. */
  readonly said: string;

  constructor(bytes: Uint8Array) {
    const lines = new TextDecoder("latin1").decode(bytes.subarray(-500)).split(/[\r\n]+/);
    const said = printable(lines.findLast((line) => line.trim() !== "")?.trim() ?? "");
    super(said === "" ? "The other end said nothing" : `The other end said: ${said}`);
    this.said = said;
  }
}

function indexOf(bytes: Uint8Array, what: Uint8Array | readonly number[], from: number): number {
  for (let at = bytes.indexOf(what[0]!, from); at >= 0; at = bytes.indexOf(what[0]!, at + 1)) {
    if (at + what.length > bytes.length) return -1;
    let same = 0;
    while (same < what.length && bytes[at + same] === what[same]) same++;
    if (same === what.length) return at;
  }
  return -1;
}
