import type { BytePipe } from "../../io/mod.ts";
import { NbdReader } from "../../nbd/mod.ts";

/**
 * Connections of vmferry's own to the exports of its QEMU, one an export. They must stay open until the
 * exports are removed: QEMU 7.2.22 of Debian fails an assertion when a client of a disk with an iothread
 * leaves earlier.
 */
export class ExportReaders {
  readonly #connect: () => Promise<BytePipe>;
  readonly #readers = new Map<string, Promise<NbdReader>>();
  /** The last work on each export. Never rejects. */
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #pipes: BytePipe[] = [];
  #isClosed = false;

  /**
   * Connects to nothing yet.
   *
   * @param connect to QEMU's NBD server.
   */
  constructor(connect: () => Promise<BytePipe>) {
    this.#connect = connect;
  }

  /**
   * Works with the connection to an export, once the earlier work on it is done: a peer that asks for much at a
   * time gets no more memory. The first call makes the connection.
   *
   * @throws {NbdError} with the server's reason.
   * @throws {Error} after {@link close}.
   * @throws as `work`.
   */
  use<T>(exportName: string, work: (reader: NbdReader) => Promise<T>): Promise<T> {
    const before = this.#last.get(exportName) ?? Promise.resolve();
    const result = before.then(async () => await work(await this.#reader(exportName)));
    this.#last.set(exportName, result.catch(() => {}));
    return result;
  }

  #reader(exportName: string): Promise<NbdReader> {
    let reader = this.#readers.get(exportName);
    if (!reader) {
      reader = this.#open(exportName);
      this.#readers.set(exportName, reader);
    }
    return reader;
  }

  /** Closes all of them; reads under way fail. */
  close(): void {
    this.#isClosed = true;
    for (const pipe of this.#pipes) pipe.close();
  }

  async #open(exportName: string): Promise<NbdReader> {
    const pipe = await this.#connect();
    if (this.#isClosed) {
      pipe.close();
      throw new Error("The exports are being removed");
    }
    this.#pipes.push(pipe);
    return await NbdReader.open(pipe, exportName);
  }
}
