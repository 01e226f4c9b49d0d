import type { Acceptor, BytePipe } from "../../../../src/io/mod.ts";
import { listenUnix } from "../../../../src/transport/mod.ts";

/** A listening UNIX socket whose connections end, as at the death of its process. */
export class BreakingSocket {
  readonly #atBytes: number;
  readonly #onBreak: () => void;
  /** Bytes that were written. */
  written = 0;

  /** @param atBytes how many bytes may be written before everything is closed. */
  constructor(atBytes: number, onBreak: () => void = () => {}) {
    this.#atBytes = atBytes;
    this.#onBreak = onBreak;
  }

  /** Listens, as `listenUnix`. */
  readonly listen = async (path: string): Promise<Acceptor> => {
    const acceptor = await listenUnix(path);
    return {
      address: acceptor.address,
      accept: async () => {
        const pipe = await acceptor.accept();
        return pipe && this.#breaking(pipe);
      },
      close: () => acceptor.close(),
    };
  };

  #breaking(pipe: BytePipe): BytePipe {
    return {
      read: (into) => pipe.read(into),
      write: async (from) => {
        const room = this.#atBytes - this.written;
        if (room <= 0) {
          this.#onBreak();
          pipe.close();
          throw new Error("The process was killed");
        }
        const n = await pipe.write(from.subarray(0, room));
        this.written += n;
        return n;
      },
      closeWrite: () => pipe.closeWrite(),
      close: () => pipe.close(),
    };
  }
}
