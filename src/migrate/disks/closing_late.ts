import { type Acceptor, type BytePipe, writeAll } from "../../io/mod.ts";
import { LastRequests } from "../../nbd/mod.ts";

export interface ClosingLateOptions {
  /** Resolves when a connection may be ended and closed. */
  readonly mayClose: () => Promise<void>;
  /** All that is asked for from now on is answered here: nothing is left to be written. */
  readonly answersHere: () => boolean;
}

/**
 * An acceptor of NBD clients whose connections are ended and closed by this end only when `mayClose` has
 * resolved. Closing the acceptor itself does not wait.
 */
export function closingLate(acceptor: Acceptor, options: ClosingLateOptions): Acceptor {
  return {
    address: acceptor.address,
    async accept() {
      const pipe = await acceptor.accept();
      return pipe && late(pipe, options);
    },
    close: () => acceptor.close(),
  };
}

function late(pipe: BytePipe, { mayClose, answersHere }: ClosingLateOptions): BytePipe {
  const last = new LastRequests();
  return {
    // A read that began before may bring what is asked for last.
    async read(into) {
      while (true) {
        const n = await pipe.read(into);
        if (n === null || !answersHere()) return n;
        const { replies, over } = last.take(into.subarray(0, n));
        for (const reply of replies) await writeAll(pipe, reply);
        if (over) return null;
      }
    },
    write: (from) => pipe.write(from),
    async closeWrite() {
      await mayClose();
      await pipe.closeWrite();
    },
    close: () => void mayClose().then(() => pipe.close()),
  };
}
