import { type BlockDevice, NbdServer } from "../../../src/nbd/mod.ts";

/** What a {@link WrongStorage} serves. */
export interface WrongStorageOptions {
  /** A raw image, which has to exist once a client reads or writes. */
  readonly image: string;
  readonly sizeBytes: number;
  /** The byte that is read wrong. */
  readonly at: number;
  /** The UNIX socket of the NBD server. */
  readonly socket: string;
}

/** Serves a raw image by NBD, and returns all bits of one byte flipped, however often it is written. */
export class WrongStorage implements AsyncDisposable {
  /** Give it to QEMU. */
  readonly socket: string;
  /** Whether the byte is wrong. */
  isWrong = true;
  readonly #listener: Deno.UnixListener;
  readonly #server: NbdServer;
  readonly #accepting: Promise<void>;

  /** Listens from now on. */
  constructor({ image, sizeBytes, at, socket }: WrongStorageOptions) {
    this.socket = socket;
    this.#listener = Deno.listen({ transport: "unix", path: socket });
    const spoil = (offset: number, bytes: Uint8Array) => {
      if (this.isWrong && at >= offset && at < offset + bytes.length) bytes[at - offset]! ^= 0xff;
    };
    this.#server = new NbdServer([{ name: "", device: imageDevice(image, sizeBytes, spoil) }]);
    this.#accepting = this.#accept();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    await this.#server.shutDown();
  }

  async #accept(): Promise<void> {
    // A QEMU that is killed hangs up: no fault.
    for await (const client of this.#listener) this.#server.serve(client).catch(() => {});
  }
}

/** An image that is opened for each request: a scenario may replace it between two clients. */
function imageDevice(
  image: string,
  sizeBytes: number,
  spoil: (offset: number, bytes: Uint8Array) => void,
): BlockDevice {
  const never = () => Promise.reject(new Error("The device cannot do that"));
  const can = { flush: false, fua: false, writeZeroes: false, fastZero: false };
  return {
    sizeBytes,
    readOnly: false,
    blockSize: { minimum: 1, preferred: 65536, maximum: 1 << 25 },
    can: { ...can, trim: false, cache: false, multiConn: true, blockStatus: false },
    async read(offset, into) {
      using file = await Deno.open(image);
      await file.seek(offset, Deno.SeekMode.Start);
      for (let end = 0; end < into.length;) {
        const n = await file.read(into.subarray(end));
        if (n === null) throw new Error(`${image} ends at ${offset + end}`);
        end += n;
      }
      spoil(offset, into);
      return [];
    },
    async write(offset, bytes) {
      using file = await Deno.open(image, { write: true });
      await file.seek(offset, Deno.SeekMode.Start);
      for (let end = 0; end < bytes.length;) end += await file.write(bytes.subarray(end));
    },
    writeZeroes: never,
    trim: never,
    flush: never,
    cache: never,
    blockStatus: never,
    close: () => Promise.resolve(),
  };
}
