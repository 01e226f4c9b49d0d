import type { Acceptor, Logger } from "../../io/mod.ts";
import type { DeltaFilter } from "../../migrate/mod.ts";
import { ChannelListener, type OpenStream } from "../../rpc/mod.ts";

/** Opens a listener for a channel. */
interface SocketsContext {
  readonly listen: (path: string) => Promise<Acceptor>;
  readonly open: OpenStream;
  readonly log: Logger;
  /** A connection could not be carried on; the program behind it sees a closed socket. */
  readonly onFault: (error: unknown) => void;
}

/** How a socket is served. */
interface ServeOptions {
  /** Makes another listener of it. Default: as it is. */
  readonly wrap?: (acceptor: Acceptor) => Acceptor;
  /** Joins a connection and its stream, and owns both. Default: bytes both ways. */
  readonly join?: DeltaFilter["join"];
}

/** The sockets that lead to channels of the destination. Owns their listeners. */
export class Sockets {
  readonly #context: SocketsContext;
  readonly #listeners: ChannelListener[] = [];

  constructor(context: SocketsContext) {
    this.#context = context;
  }

  /** Listens at `path`, and joins each connection to a stream to `channel`. */
  async serve(
    path: string,
    channel: string,
    { wrap = (acceptor) => acceptor, join }: ServeOptions = {},
  ): Promise<void> {
    const { listen, open, log, onFault } = this.#context;
    const acceptor = wrap(await listen(path));
    this.#listeners.push(
      new ChannelListener(acceptor, channel, {
        log,
        open: async (name, signal) => {
          try {
            return await open(name, signal);
          } catch (error) {
            if (!signal.aborted) onFault(error);
            throw error;
          }
        },
        ...(join ? { join } : {}),
        onEnd: ({ error }) => error && log.log("debug", `channel ${channel}: ${error.message}`),
      }),
    );
  }

  /** Ends all connections and stops listening. */
  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }
}
