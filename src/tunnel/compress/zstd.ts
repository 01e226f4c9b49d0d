/**
 * Zstandard (RFC 8878) as far as the tunnel needs it, from `node:zlib`.
 *
 * @module
 */
import * as limits from "../limits.ts";

/**
 * Decompresses one zstd frame. It never takes more memory than `length` bytes and a window of
 * {@link limits.ZSTD_WINDOW_LOG}.
 *
 * @param length bytes that the frame must contain.
 * @returns the bytes: as many as the frame contains, if they are `length` at most.
 * @throws {Error} when it contains more, needs a larger window, or is no zstd frame.
 */
export type Decompress = (frame: Uint8Array, length: number) => Uint8Array;

/** The part of `node:zlib` in use. Deno has it since 2.6; its types do not name all of it. */
interface Zlib {
  zstdDecompressSync?(bytes: Uint8Array, options: ZstdOptions): Uint8Array;
  readonly constants: Readonly<Record<string, number>>;
}

interface ZstdOptions {
  /** Size of the buffer for the output: one of the right size saves a copy. */
  readonly chunkSize: number;
  readonly maxOutputLength: number;
  readonly params: Readonly<Record<number, number>>;
}

/** "vmferry " eight times, compressed by zstd 1.5 at level 1 with a window of 256 KiB. */
const SAMPLE = Uint8Array.of(
  ...[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x40, 0x75, 0x00, 0x00, 0x40, 0x76, 0x6d],
  ...[0x66, 0x65, 0x72, 0x72, 0x79, 0x20, 0x01, 0x00, 0xdd, 0x59, 0xb8],
);
const SAMPLE_TEXT = "vmferry ".repeat(8);

/** Loads zstd; `undefined` where this Deno has none that works. */
export async function loadDecompress(): Promise<Decompress | undefined> {
  try {
    // Not at the start of the program: most commands need none of it, and loading takes 20 ms.
    const decompress = decompressOf(await import("node:zlib") as unknown as Zlib);
    // Early versions of Deno have the functions but reject their parameters.
    const text = new TextDecoder().decode(decompress?.(SAMPLE, SAMPLE_TEXT.length));
    return text === SAMPLE_TEXT ? decompress : undefined;
  } catch {
    return undefined;
  }
}

function decompressOf(zlib: Zlib): Decompress | undefined {
  if (zlib.zstdDecompressSync === undefined) return undefined;
  // The frame's header says how large its window is: the decoder allocates it before any output.
  const params = { [zlib.constants["ZSTD_d_windowLogMax"]!]: limits.ZSTD_WINDOW_LOG };
  return (frame, length) => {
    const bytes = zlib.zstdDecompressSync!(frame, {
      chunkSize: Math.max(limits.LEAST_ZLIB_CHUNK, length),
      maxOutputLength: length,
      params,
    });
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  };
}
