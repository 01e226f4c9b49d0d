import type { BytePipe } from "../../io/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import { lazyPipe } from "../disks/lazy_pipe.ts";

export interface RamStreamsOptions {
  /** How many streams both ends have agreed on. */
  readonly count: number;
  /** Has QEMU wait for RAM. */
  readonly begin: () => Promise<void>;
  /** The others are connected once the main one is, and not when their first byte is there. Default: false. */
  readonly atOnce?: boolean;
  /** Connects to QEMU. */
  readonly connect: () => Promise<BytePipe>;
}

/**
 * Connects RAM's streams to QEMU, each when its first byte is there. A QEMU before 8.0 takes the first
 * connection for the main one, whatever it carries, and the source's QEMU sends the first bytes of the main
 * stream last. So the others wait until the main stream, which the source opens first, is connected.
 */
export class RamStreams {
  readonly #options: RamStreamsOptions;
  readonly #mainConnected = Promise.withResolvers<void>();
  #begun: Promise<void> | undefined;
  #dialled = 0;

  constructor(options: RamStreamsOptions) {
    this.#options = options;
    this.#mainConnected.promise.catch(() => {});
  }

  /**
   * Makes the pipe of the next stream.
   *
   * @throws {RpcError} code `failed`, when the source opens more than both ends agreed on.
   * @throws as `begin`.
   */
  async dial(): Promise<BytePipe> {
    const { count, begin, atOnce = false } = this.#options;
    const number = this.#dialled++;
    if (number >= count && count > 1) {
      throw new RpcError("failed", `Both ends agreed on ${count} streams of RAM, this is one more`);
    }
    // A further stream beside the only one is refused in there, with the state's own words.
    this.#begun = number === 0 || count === 1 ? begin() : this.#begun;
    await this.#begun;
    if (number === 0) return lazyPipe(() => this.#connectMain());
    return lazyPipe(() => this.#connectOther(), { atOnce });
  }

  async #connectMain(): Promise<BytePipe> {
    const { connect } = this.#options;
    try {
      const pipe = await connect();
      this.#mainConnected.resolve();
      return pipe;
    } catch (error) {
      this.#mainConnected.reject(error);
      throw error;
    }
  }

  async #connectOther(): Promise<BytePipe> {
    await this.#mainConnected.promise;
    return await this.#options.connect();
  }
}
