import type { Acceptor, BytePipe } from "../../io/mod.ts";

/** What comes before the end of a connection that virsh has to the destination's libvirt. */
export interface Fence {
  /** The tunnel's end is about to end the connection; virsh does not know it yet. */
  cut(reason: Error): void;
  /** virsh has ended the connection. */
  hungUp(): void;
}

/**
 * Connections of virsh to the destination's libvirt, fenced: whatever ends one of them, `fence` is
 * called before virsh can notice. A program sees the end of its UNIX socket only when the other end
 * closes it, or its sending direction: so these calls are the only places where it must be done.
 */
export function fenced(acceptor: Acceptor, fence: Fence): Acceptor {
  const { over } = acceptor;
  return {
    address: acceptor.address,
    accept: async () => {
      const pipe = await acceptor.accept();
      return pipe && new FencedPipe(pipe, fence);
    },
    ...(over === undefined ? {} : { over }),
    close: () => acceptor.close(),
  };
}

class FencedPipe implements BytePipe {
  readonly #pipe: BytePipe;
  readonly #fence: Fence;
  #hungUp = false;

  constructor(pipe: BytePipe, fence: Fence) {
    this.#pipe = pipe;
    this.#fence = fence;
  }

  async read(into: Uint8Array): Promise<number | null> {
    try {
      const n = await this.#pipe.read(into);
      if (n === null) this.#hangUp();
      return n;
    } catch (error) {
      this.#hangUp();
      throw error;
    }
  }

  write(from: Uint8Array): Promise<number> {
    return this.#pipe.write(from);
  }

  closeWrite(): Promise<void> {
    this.#cut("The destination's libvirt closed its connection");
    return this.#pipe.closeWrite();
  }

  close(): void {
    this.#cut("The connection to the destination's libvirt was lost");
    this.#pipe.close();
  }

  #hangUp(): void {
    this.#hungUp = true;
    this.#fence.hungUp();
  }

  #cut(why: string): void {
    if (!this.#hungUp) this.#fence.cut(new Error(why));
  }
}
