import * as zlib from "node:zlib";
import {
  type Compressed,
  type Compressor,
  type Decompress,
  loadDecompress,
} from "../../../src/tunnel/mod.ts";
import { concat } from "../../support/bytes.ts";
import { ZSTD_WINDOW_LOG } from "../../../src/tunnel/limits.ts";

const { zstdCompressSync, constants } = zlib as unknown as {
  zstdCompressSync(bytes: Uint8Array, options: { params: Record<number, number> }): Uint8Array;
  constants: Record<string, number>;
};

/** One zstd frame with these bytes. */
export function zstd(raw: Uint8Array, windowLog = ZSTD_WINDOW_LOG): Uint8Array {
  const params = {
    [constants["ZSTD_c_compressionLevel"]!]: 1,
    [constants["ZSTD_c_windowLog"]!]: windowLog,
  };
  return new Uint8Array(zstdCompressSync(raw, { params }));
}

/** The payload of a compressed DATA frame: a length, true or not, and a zstd frame or what not. */
export function compressed(length: number, content: Uint8Array): Uint8Array {
  const payload = new Uint8Array(4 + content.length);
  new DataView(payload.buffer).setUint32(0, length);
  payload.set(content, 4);
  return payload;
}

/** What a session decompresses with. */
export async function decompressor(): Promise<Decompress> {
  const decompress = await loadDecompress();
  if (!decompress) throw new Error("This Deno has no zstd; take the one that tools/deno.sh runs");
  return decompress;
}

/** Compresses within the session's thread; `hold` keeps results back until `release`. */
export class TestCompressor implements Compressor {
  failed = false;
  #closed = false;
  readonly #held: (() => void)[] = [];
  /** How many pieces it got. */
  count = 0;

  constructor(readonly hold = false) {}

  get jobs(): number {
    return this.#held.length;
  }

  compress(raw: Uint8Array, room: number, done: (result: Compressed) => void): void {
    this.count++;
    const packed = zstd(raw);
    const bytes = packed.length < raw.length * 0.9
      ? concat([new Uint8Array(room), packed])
      : undefined;
    this.#held.push(() => done({ bytes: this.#closed ? undefined : bytes, tookMs: 1 }));
    if (!this.hold) setTimeout(() => this.release(), 0);
  }

  /** Gives back the oldest piece that it has. */
  release(): void {
    this.#held.shift()?.();
  }

  close(): void {
    this.#closed = true;
    while (this.#held.length > 0) this.release();
  }
}
