import type { Acceptor, BytePipe } from "../../io/mod.ts";

/** How much is read at once of a channel that leads nowhere any more, bytes. */
const DRAIN_BYTES = 65536;

/**
 * An acceptor of RAM's connections for which a close ends only the first one, the main one. The channels of
 * multifd are read until QEMU closes them, which it does once the main one has failed. QEMU 10.0 waits forever for a
 * channel that is closed while it sends the rest of RAM, and answers nothing.
 *
 * @param mayClose resolves when the main one may be closed; it is not read until then.
 */
export function drainingChannels(
  acceptor: Acceptor,
  mayClose: () => Promise<void> = () => Promise.resolve(),
): Acceptor {
  let isMain = true;
  return {
    address: acceptor.address,
    async accept() {
      const pipe = await acceptor.accept();
      if (!pipe) return undefined;
      if (isMain) {
        isMain = false;
        return closedLate(pipe, mayClose);
      }
      return {
        read: (into) => pipe.read(into),
        write: (from) => pipe.write(from),
        closeWrite: () => pipe.closeWrite(),
        close: () => void drain(pipe),
      };
    },
    close: () => acceptor.close(),
  };
}

function closedLate(pipe: BytePipe, mayClose: () => Promise<void>): BytePipe {
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

async function drain(pipe: BytePipe): Promise<void> {
  const room = new Uint8Array(DRAIN_BYTES);
  try {
    while (await pipe.read(room) !== null);
  } catch { /* QEMU is gone */ }
  pipe.close();
}
