import { type Acceptor, type BytePipe, writeAll } from "../../io/mod.ts";
import { LastRequests } from "../../nbd/mod.ts";

export interface ClosingLateOptions {
  /** Resolves when vmferry may close a connection. */
  readonly mayClose: () => Promise<void>;
  /** True once every write is flushed: vmferry then answers requests itself. */
  readonly answersHere: () => boolean;
}

/**
 * An acceptor of NBD clients that closes their connections only once `mayClose` has resolved. Closing
 * the acceptor itself does not wait.
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
    // A read that began earlier may return the client's last requests.
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
