import * as wire from "./stream_wire.ts";

/** What a resumed post-copy contains, apart from RAM. */
export type StreamItem =
  /** A command; `number` is one of `CMD_*` or unknown. */
  | { readonly kind: "command"; readonly number: number; readonly payload: Uint8Array }
  /** The source has sent everything. Nothing follows. */
  | { readonly kind: "end" };

/** The source sent something that no resumed post-copy contains. */
export class StreamError extends Error {
  /** The class, also in a bundle. */
  override name = "StreamError";
}

/** The parser takes this many bytes next, or gives an item out. */
type Step = number | StreamItem;

/**
 * Parses the stream of a source that resumes post-copy (the layout is in stream_wire.ts). Takes bytes
 * in any portions, retains at most 64 KiB of them, and drops the contents of RAM sections. Pure.
 *
 * @example A ping in two portions, and the end
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const stream = new ResumedStream(4096);
 * assertEquals(stream.push(new Uint8Array([8, 0, 2, 0, 4, 0, 0])), []);
 * assertEquals(stream.push(new Uint8Array([0, 7, 0])), [
 *   { kind: "command", number: 2, payload: new Uint8Array([0, 0, 0, 7]) },
 *   { kind: "end" },
 * ]);
 * ```
 */
export class ResumedStream {
  readonly #steps: Generator<Step, void, Uint8Array>;
  /** Gets the next bytes; `undefined` once the stream has ended. */
  #wanted: Uint8Array | undefined;
  #filled = 0;

  /** @param pageBytes size of the guest's pages, bytes. */
  constructor(pageBytes: number) {
    this.#steps = sections(pageBytes);
    this.#advance(new Uint8Array(), []);
  }

  /**
   * Takes the next bytes; they are copied. Bytes after the end are ignored.
   *
   * @throws {StreamError} naming the section that is not understood. The parser is unusable then.
   */
  push(bytes: Uint8Array): StreamItem[] {
    const items: StreamItem[] = [];
    let at = 0;
    while (this.#wanted) {
      const part = bytes.subarray(at, at + this.#wanted.length - this.#filled);
      this.#wanted.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < this.#wanted.length) break;
      this.#advance(this.#wanted, items);
    }
    return items;
  }

  #advance(bytes: Uint8Array, items: StreamItem[]): void {
    let step = this.#steps.next(bytes);
    while (typeof step.value === "object") {
      items.push(step.value);
      step = this.#steps.next(bytes);
    }
    this.#wanted = typeof step.value === "number" ? new Uint8Array(step.value) : undefined;
    this.#filled = 0;
  }
}

function* sections(pageBytes: number): Generator<Step, void, Uint8Array> {
  while (true) {
    const type = (yield 1)[0]!;
    switch (type) {
      case wire.SECTION_COMMAND: {
        const head = view(yield 4);
        const [number, length] = [head.getUint16(0), head.getUint16(2)];
        const payload = yield length;
        yield { kind: "command", number, payload };
        break;
      }
      case wire.SECTION_PART:
      case wire.SECTION_END:
        yield 4;
        yield* ramSection(pageBytes);
        break;
      case wire.SECTION_FOOTER:
        yield 4;
        break;
      case wire.SECTION_EOF:
        yield { kind: "end" };
        return;
      default:
        throw new StreamError(`QEMU sent a section of type ${type}, expected commands and RAM`);
    }
  }
}

/** Nothing in it is used: a page that QEMU sends all the same is dropped. */
function* ramSection(pageBytes: number): Generator<Step, void, Uint8Array> {
  while (true) {
    const flags = view(yield 8).getUint32(4) & wire.RAM_FLAGS;
    if ((flags & ~wire.RAM_KNOWN) !== 0) {
      throw new StreamError(`QEMU sent RAM with the flags 0x${flags.toString(16)}, expected pages`);
    }
    if ((flags & wire.RAM_EOS) !== 0) return;
    if ((flags & (wire.RAM_ZERO | wire.RAM_PAGE)) === 0) continue;
    if ((flags & wire.RAM_CONTINUE) === 0) yield (yield 1)[0]!;
    yield (flags & wire.RAM_PAGE) !== 0 ? pageBytes : 1;
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
