import type { Acceptor, BytePipe } from "../../../io/mod.ts";
import { CallScanner } from "./libvirt_calls.ts";

/** What comes before the end of a connection that virsh has to the destination's libvirt. */
export interface Fence {
  /** The connection is about to end, or virsh has ended it without saying that it is through. */
  cut(reason: Error): void;
  /** virsh says that it is through with the destination. */
  goodbye(): void;
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

/** virsh has closed its connection to the destination's libvirt without a goodbye, as one that is killed does. */
export class VirshGoneError extends Error {
  /** The class, also in a bundle. */
  override name = "VirshGoneError";
}

class FencedPipe implements BytePipe {
  readonly #pipe: BytePipe;
  readonly #fence: Fence;
  readonly #calls: CallScanner;
  /** virsh has said that it ends the connection. */
  #goodbye = false;

  constructor(pipe: BytePipe, fence: Fence) {
    this.#pipe = pipe;
    this.#fence = fence;
    this.#calls = new CallScanner((call) => {
      // virsh says so when the migration has returned: no Confirm follows. libvirt answers and closes.
      if (call === "finish") return fence.finishing();
      this.#goodbye = true;
      fence.goodbye();
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    try {
      const n = await this.#pipe.read(into);
      if (n === null) this.#hungUp();
      else this.#calls.push(into.subarray(0, n));
      return n;
    } catch (error) {
      this.#hungUp();
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

  #hungUp(): void {
    if (!this.#goodbye) this.#fence.cut(new VirshGoneError("virsh ended before it was through"));
  }

  #cut(why: string): void {
    if (!this.#goodbye) this.#fence.cut(new Error(why));
  }
}
