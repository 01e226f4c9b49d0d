import type { BlockDevice, BlockExtent, BlockSize, ByteRange } from "../../src/nbd/mod.ts";

/** Pages of zeroes are holes until something is written there. */
const PAGE = 4096;

/** What a test may change of a device. */
export interface MemoryDeviceOptions {
  readonly sizeBytes?: number;
  readonly readOnly?: boolean;
  readonly blockSize?: Partial<BlockSize>;
  readonly can?: Partial<BlockDevice["can"]>;
  /** Called before each request; may wait, or throw. */
  readonly before?: (call: Call) => Promise<void> | void;
}

/** A request that reached the device. */
export interface Call {
  readonly name: string;
  readonly offset?: number;
  readonly length?: number;
  readonly options?: unknown;
}

/** A sparse device in memory that notes its calls. */
export class MemoryDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly blockSize: BlockSize;
  readonly can: BlockDevice["can"];
  /** What was called, in order. */
  readonly calls: Call[] = [];
  readonly bytes: Uint8Array;
  readonly #isData: boolean[];
  readonly #before: (call: Call) => Promise<void> | void;

  constructor(options: MemoryDeviceOptions = {}) {
    this.sizeBytes = options.sizeBytes ?? 1 << 20;
    this.readOnly = options.readOnly ?? false;
    this.blockSize = { minimum: 1, preferred: PAGE, maximum: 1 << 25, ...options.blockSize };
    this.can = {
      ...{ flush: true, fua: true, writeZeroes: true, fastZero: true },
      ...{ trim: true, cache: true, multiConn: true, blockStatus: true },
      ...options.can,
    };
    this.bytes = new Uint8Array(this.sizeBytes);
    this.#isData = Array(Math.ceil(this.sizeBytes / PAGE)).fill(false);
    this.#before = options.before ?? (() => {});
  }

  async read(offset: number, into: Uint8Array): Promise<readonly ByteRange[]> {
    await this.#called({ name: "read", offset, length: into.length });
    into.set(this.bytes.subarray(offset, offset + into.length));
    let at = offset;
    return this.#extents(offset, into.length).flatMap(({ length, hole }) => {
      at += length;
      return hole ? [{ offset: at - length, length }] : [];
    });
  }

  async write(offset: number, bytes: Uint8Array, options = {}): Promise<void> {
    await this.#called({ name: "write", offset, length: bytes.length, options });
    this.bytes.set(bytes, offset);
    this.#mark(offset, bytes.length, true);
  }

  async writeZeroes(offset: number, length: number, options = {}): Promise<void> {
    await this.#called({ name: "writeZeroes", offset, length, options });
    this.bytes.fill(0, offset, offset + length);
    this.#mark(offset, length, (options as { noHole?: boolean }).noHole ?? false);
  }

  async trim(offset: number, length: number, options = {}): Promise<void> {
    await this.#called({ name: "trim", offset, length, options });
  }

  async flush(): Promise<void> {
    await this.#called({ name: "flush" });
  }

  async cache(offset: number, length: number): Promise<void> {
    await this.#called({ name: "cache", offset, length });
  }

  async blockStatus(offset: number, length: number, options = {}): Promise<BlockExtent[]> {
    await this.#called({ name: "blockStatus", offset, length, options });
    return this.#extents(offset, length);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #called(call: Call): Promise<void> {
    this.calls.push(call);
    await this.#before(call);
  }

  #mark(offset: number, length: number, isData: boolean): void {
    // Zeroes make a hole of whole pages only.
    const first = isData ? Math.floor(offset / PAGE) : Math.ceil(offset / PAGE);
    const end = isData ? Math.ceil((offset + length) / PAGE) : Math.floor((offset + length) / PAGE);
    for (let page = first; page < end; page++) this.#isData[page] = isData;
  }

  #extents(offset: number, length: number): BlockExtent[] {
    const extents: BlockExtent[] = [];
    for (let at = offset; at < offset + length;) {
      const page = Math.floor(at / PAGE);
      const end = Math.min((page + 1) * PAGE, offset + length);
      const hole = !this.#isData[page];
      extents.push({ length: end - at, hole, zero: hole });
      at = end;
    }
    return extents;
  }
}
