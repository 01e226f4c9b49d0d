import type { Acceptor, BytePipe } from "../../../io/mod.ts";
import { CallScanner } from "./libvirt_calls.ts";

/** What comes before the end of a connection that virsh has to the destination's libvirt. */
export interface Fence {
  /** The tunnel's end is about to end the connection; virsh does not know it yet. */
  cut(reason: Error): void;
  /** virsh has ended the connection, or said that it is through with it. */
  hungUp(): void;
  /** virsh asks the destination to run the guest: it may run there from now on. */
  finishing(): void;
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
  readonly #calls: CallScanner;
  /** virsh has ended the connection, or said that it does. */
  #goodbye = false;

  constructor(pipe: BytePipe, fence: Fence) {
    this.#pipe = pipe;
    this.#fence = fence;
    this.#calls = new CallScanner((call) => {
      // libvirt answers it and closes: that is no lost connection.
      if (call === "close") this.#goodbye = true;
      else fence.finishing();
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    try {
      const n = await this.#pipe.read(into);
      if (n === null) this.#hangUp();
      else this.#calls.push(into.subarray(0, n));
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
    this.#goodbye = true;
    this.#fence.hungUp();
  }

  #cut(why: string): void {
    if (this.#goodbye) this.#fence.hungUp();
    else this.#fence.cut(new Error(why));
  }
}
