import { type Acceptor, type BytePipe, type Clock, silentLogger } from "../../src/io/mod.ts";
import { connectSession } from "../../src/tunnel/connect.ts";
import type { Compression, Decompress } from "../../src/tunnel/mod.ts";
import { SessionServer } from "../../src/tunnel/serve.ts";
import type { Session } from "../../src/tunnel/session.ts";
import { pattern } from "../support/bytes.ts";
import { type Cut, hurriedClock, memoryNetwork } from "../support/cutting.ts";

/** Two sessions over a network that cuts connections. */
export interface World {
  readonly connecting: Session;
  readonly listening: Session;
  readonly server: SessionServer;
  readonly connections: () => number;
}

/** Opens both; the n-th connection is cut where `cutOf(n)` says. */
export async function world(
  cutOf: (n: number) => Cut | undefined = () => undefined,
  options: {
    graceMs?: number;
    capacity?: number;
    recordBytes?: number;
    inFlight?: number;
    clock?: Clock;
    /** What the listening end is given in place of each connection. */
    wrap?: (pipe: BytePipe) => BytePipe;
    compression?: Compression;
    decompress?: Decompress;
    /** Lanes that the connecting end wants and the listening end allows. */
    lanes?: number;
    /** Lanes that the connecting end wants, where the listening end allows fewer. */
    wantedLanes?: number;
    /** What the connecting end gets in place of its n-th connection. */
    dialled?: (n: number, pipe: BytePipe) => BytePipe;
    connectMs?: number;
  } = {},
): Promise<World> {
  const network = memoryNetwork(cutOf, options);
  const wrap = options.wrap ?? ((pipe) => pipe);
  const local = {
    secret: pattern(32, 9),
    graceMs: options.graceMs ?? 600_000,
    version: "1.0.0",
    decompress: options.decompress,
    lanes: options.lanes,
  };
  const accepted = Promise.withResolvers<Session>();
  const common = {
    local,
    clock: options.clock ?? hurriedClock,
    log: silentLogger,
    compression: options.compression,
    ...(options.inFlight ? { inFlight: options.inFlight } : {}),
  };
  const acceptor: Acceptor = {
    ...network.acceptor,
    async accept() {
      const pipe = await network.acceptor.accept();
      return pipe && wrap(pipe);
    },
  };
  const server = new SessionServer(acceptor, {
    ...common,
    handshakeMs: 60_000,
    onSession: accepted.resolve,
  });
  try {
    const connecting = await connectSession({
      ...common,
      local: { ...local, lanes: options.wantedLanes ?? options.lanes },
      dial: async () => {
        const n = network.connections();
        const pipe = await network.dial();
        return options.dialled?.(n, pipe) ?? pipe;
      },
      connectMs: options.connectMs ?? 60_000,
      mayReconnect: true,
      random: () => 0,
    });
    return {
      connecting,
      listening: await accepted.promise,
      server,
      connections: network.connections,
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}
