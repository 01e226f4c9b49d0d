/**
 * The stream of a source that resumes post-copy, as QEMU 7.2, 10.0 and 11.1 send it.
 *
 * @module
 */
import { concat } from "../../support/bytes.ts";

/** A command with its payload. */
export function command(number: number, payload: readonly number[] = []): Uint8Array {
  return Uint8Array.from([8, 0, number, payload.length >> 8, payload.length & 0xff, ...payload]);
}

/** The question for the bitmap of a block. */
export function askBitmap(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  return command(10, [bytes.length, ...bytes]);
}

/** A RAM section with these words, and its footer. */
export function ramSection(type: 2 | 3, ...words: readonly Uint8Array[]): Uint8Array {
  const section = [0, 0, 0, 2];
  return concat([
    Uint8Array.from([type, ...section]),
    ...words,
    Uint8Array.from([0x7e, ...section]),
  ]);
}

/** A word of a RAM section: an address with flags, and what follows it. */
export function word(low: number, more: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(8 + more.length);
  new DataView(bytes.buffer).setUint32(4, low);
  bytes.set(more, 8);
  return bytes;
}

/** The last word of each RAM section. */
export const END_OF_SECTION = word(0x10);
/** The end of the stream. */
export const END = Uint8Array.of(0);

/** A whole stream: two blocks, the resume, and RAM without a page. */
export const WHOLE: Uint8Array = concat([
  command(2, [0, 0, 0, 9]),
  askBitmap("pc.ram"),
  askBitmap("/rom@etc/acpi/tables"),
  command(9),
  ramSection(2, END_OF_SECTION),
  ramSection(3, END_OF_SECTION),
  END,
]);
