import type { Acceptor, BytePipe } from "../io/mod.ts";

/**
 * An acceptor whose connections are ended and closed by this end only when `mayClose` has resolved.
 * Closing the acceptor itself does not wait.
 */
export function closingLate(acceptor: Acceptor, mayClose: () => Promise<void>): Acceptor {
  return {
    address: acceptor.address,
    async accept() {
      const pipe = await acceptor.accept();
      return pipe && late(pipe, mayClose);
    },
    close: () => acceptor.close(),
  };
}

function late(pipe: BytePipe, mayClose: () => Promise<void>): BytePipe {
  return {
    read: (into) => pipe.read(into),
    write: (from) => pipe.write(from),
    async closeWrite() {
      await mayClose();
      await pipe.closeWrite();
    },
    close: () => void mayClose().then(() => pipe.close()),
  };
}
