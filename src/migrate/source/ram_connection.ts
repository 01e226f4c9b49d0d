import { messageOf } from "../../io/mod.ts";
import type { ChannelListener, OpenStream } from "../../rpc/mod.ts";
import type { TunnelStream } from "../../tunnel/mod.ts";
import { MigrationError } from "../errors.ts";
import type { Carrier } from "../timeouts.ts";
import type { ListenersContext } from "./listeners.ts";
import type { SourceOptions } from "./options.ts";
import type { RamConnection } from "../ram/ram.ts";

/** The parts of the source's context that RAM's socket uses. */
export interface RamSocketContext extends ListenersContext {
  readonly options: Pick<SourceOptions, "listen" | "runDir" | "limits" | "graceMs">;
}

/** The socket in the run directory that QEMU sends RAM to, and the session that carries it. */
export class RamSocket implements RamConnection {
  readonly #context: RamSocketContext;
  readonly #listener: ChannelListener;

  constructor(context: RamSocketContext, listener: ChannelListener) {
    this.#context = context;
    this.#listener = listener;
  }

  get carrier(): Carrier | undefined {
    return this.#context.destination?.peer?.session;
  }

  roundBegan(round: number): void {
    const { clock, log, options } = this.#context;
    options.limits.roundBegan(round, clock.now()).catch((error) => {
      log.log("warning", `QEMU's downtime limit was not raised: ${messageOf(error)}`);
    });
  }

  async close(): Promise<void> {
    await this.#listener.close();
  }
}

/**
 * RAM's streams, one for each connection in the order in which QEMU makes them. The main one is first: QEMU
 * 7.2, 10.0 and 11.1 connect the channels of multifd once it is connected.
 */
export function inTurn(streams: readonly TunnelStream[]): OpenStream {
  let taken = 0;
  return () => {
    const stream = streams[taken++];
    if (stream) return Promise.resolve(stream);
    const message = streams.length === 1
      ? "QEMU made a second connection for RAM, which crosses in one"
      : `QEMU made a connection for RAM beside the ${streams.length} that both ends agreed on`;
    return Promise.reject(new MigrationError("failed", "second-connection", "source", message));
  };
}
