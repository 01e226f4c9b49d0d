import type { BytePipe } from "../../io/mod.ts";
import * as wire from "../wire.ts";
import { NbdClient } from "./client.ts";

/** A range of an export. */
export interface Extent {
  /** Where it begins, bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** It may contain something other than zeroes; or, with `allocated`, an image of the chain has it. */
  readonly isData: boolean;
}

/** What counts as data: something other than zeroes, or what is allocated, also zeroes. */
export type ExtentKind = "data" | "allocated";

/** A disk to read; offsets and lengths in bytes. */
export interface BlockSource {
  /** Of the disk. */
  readonly sizeBytes: number;
  /** Reads `length` bytes at `offset`. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Which parts of a range may hold data; empty: all of it may. */
  extents(offset: number, length: number): Promise<Extent[]>;
}

/**
 * Reads an export and locates its data (proto.md, "Transmission": NBD_CMD_READ and
 * NBD_CMD_BLOCK_STATUS). Several requests may be under way. Owns the pipe.
 */
export class NbdReader implements BlockSource, Disposable {
  readonly #client: NbdClient;
  readonly #kind: ExtentKind;

  /**
   * Opens an export; takes ownership of `pipe`.
   *
   * @param kind `allocated` needs an export of QEMU's with `allocation-depth`.
   * @throws {NbdError} with the server's reason. The pipe is closed then.
   */
  static async open(
    pipe: BytePipe,
    exportName: string,
    kind: ExtentKind = "data",
  ): Promise<NbdReader> {
    const context = kind === "data" ? wire.BASE_ALLOCATION : wire.ALLOCATION_DEPTH;
    return new NbdReader(await NbdClient.open(pipe, exportName, { context }), kind);
  }

  private constructor(client: NbdClient, kind: ExtentKind) {
    this.#client = client;
    this.#kind = kind;
  }

  /** Size of the export, bytes. */
  get sizeBytes(): number {
    return this.#client.sizeBytes;
  }

  /**
   * Reads `length` bytes at `offset`, 32 MiB at most.
   *
   * @throws {NbdError} code `refused` with the server's error, or another one when it is gone.
   * @throws {RangeError} when `length` is more than 32 MiB.
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (length > wire.MAX_PAYLOAD) {
      throw new RangeError(`Got a read of ${length} bytes, expected ${wire.MAX_PAYLOAD} at most`);
    }
    const data = new Uint8Array(length);
    await this.#client.read(offset, data);
    return data;
  }

  /**
   * Locates the data in `length` bytes at `offset`. The server may describe only a first part of the
   * range; the rest is left out. Without the context the whole range counts as data.
   *
   * @throws {NbdError} as {@link read}.
   */
  async extents(offset: number, length: number): Promise<Extent[]> {
    if (!this.#client.can.blockStatus) return [{ offset, length, isData: true }];
    const extents: Extent[] = [];
    let at = offset;
    for (const { length: bytes, flags } of await this.#client.status(offset, length)) {
      const isData = this.#kind === "data" ? (flags & wire.STATE_ZERO) === 0 : flags !== 0;
      extents.push({ offset: at, length: bytes, isData });
      at += bytes;
    }
    return extents;
  }

  /** Hangs up. If QEMU serves the export, remove that first: QEMU 7.2 may fail an assertion else. */
  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }
}
