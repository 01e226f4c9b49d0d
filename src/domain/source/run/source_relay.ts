import {
  type Acceptor,
  type BytePipe,
  type Logger,
  messageOf,
  TaskGroup,
} from "../../../io/mod.ts";

/** Bytes that are read at a time, each way. */
const CHUNK = 64 * 1024;

/** One connection of virsh, and the one to libvirt that belongs to it. */
interface Pair {
  readonly virsh: BytePipe;
  libvirt: BytePipe | undefined;
}

/**
 * The socket by which the `virsh migrate` of this migration reaches the libvirt of its own host. It
 * forwards bytes both ways until it is frozen: then libvirt gets nothing more from virsh, and sees that
 * its client has gone. Owns the acceptor and the connections.
 *
 * It exists to be frozen, see `VirshRun`.
 */
export class SourceRelay {
  readonly #acceptor: Acceptor;
  readonly #connect: () => Promise<BytePipe>;
  readonly #log: Logger;
  readonly #onFault: (error: unknown) => void;
  readonly #pairs = new Set<Pair>();
  readonly #tasks = new TaskGroup();
  #frozen = false;

  /**
   * Starts to accept connections.
   *
   * @param options `connect`: makes a connection to libvirt. `onFault`: it could not, virsh sees a closed
   * socket.
   */
  constructor(
    acceptor: Acceptor,
    options: {
      readonly connect: () => Promise<BytePipe>;
      readonly log: Logger;
      readonly onFault: (error: unknown) => void;
    },
  ) {
    this.#acceptor = acceptor;
    this.#connect = options.connect;
    this.#log = options.log;
    this.#onFault = options.onFault;
    this.#tasks.spawn(() => this.#acceptLoop());
  }

  /** Whether {@link freeze} was called. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /**
   * Ends everything in this turn of the event loop. When it returns, no byte that virsh sends from now on
   * reaches libvirt. The connections to libvirt are closed first: libvirt then ends or forgets the job of
   * its client. Safe to call twice.
   */
  freeze(): void {
    if (this.#frozen) return;
    this.#frozen = true;
    for (const { libvirt } of this.#pairs) libvirt?.close();
    for (const { virsh } of this.#pairs) virsh.close();
    this.#acceptor.close();
  }

  /** Freezes, and waits until nothing is left. */
  async close(): Promise<void> {
    this.freeze();
    await this.#tasks.join();
  }

  async #acceptLoop(): Promise<void> {
    while (true) {
      const virsh = await this.#acceptor.accept();
      if (!virsh) return;
      if (this.#frozen) virsh.close();
      else this.#tasks.spawn(() => this.#serve({ virsh, libvirt: undefined }));
    }
  }

  async #serve(pair: Pair): Promise<void> {
    this.#pairs.add(pair);
    const { virsh } = pair;
    try {
      const libvirt = await this.#connect();
      // Frozen while it was being made.
      if (this.#frozen) return libvirt.close();
      pair.libvirt = libvirt;
      await Promise.all([this.#copy(virsh, libvirt), this.#copy(libvirt, virsh)]);
    } catch (error) {
      if (pair.libvirt) this.#log.log("debug", `source relay: ${messageOf(error)}`);
      else if (!this.#frozen) this.#onFault(error);
    } finally {
      pair.libvirt?.close();
      virsh.close();
      this.#pairs.delete(pair);
    }
  }

  async #copy(from: BytePipe, to: BytePipe): Promise<void> {
    const buffer = new Uint8Array(CHUNK);
    try {
      let n: number | null;
      while ((n = await from.read(buffer)) !== null) {
        for (let at = 0; at < n;) {
          // What was read before the freeze must not be written after it.
          if (this.#frozen) return;
          at += await to.write(buffer.subarray(at, n));
        }
      }
      if (!this.#frozen) await to.closeWrite();
    } catch (error) {
      // Wakes the other direction.
      from.close();
      to.close();
      throw error;
    }
  }
}
