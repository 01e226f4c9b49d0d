import type { Acceptor, BytePipe } from "../io/mod.ts";
import { acceptFrom, dialled } from "./accept.ts";
import { TransportError } from "./errors.ts";
import { formatHostPort, isLoopback, parseHostPort } from "./host.ts";
import type { AddressedTransport } from "./transport.ts";

/** `tcp://HOST:PORT`. */
export interface TcpAddress {
  readonly transport: "tcp";
  readonly host: string;
  readonly port: number;
}

/** Plain TCP. */
export const tcp: AddressedTransport<TcpAddress> = {
  name: "tcp",
  scheme: "tcp",
  form: "tcp://HOST:PORT",
  about: "not encrypted",
  encryption: "none",
  authenticates: false,
  hasSecret: false,
  mayReconnect: true,
  startsPeer: false,
  leastConnectMs: 0,
  flags: [],
  parse: (rest, end) => ({ transport: "tcp", ...parseHostPort("tcp", rest, end) }),
  format: (address) => `tcp://${formatHostPort(address)}`,
  isLocal: ({ host }) => isLoopback(host),
  prepareDial: ({ host, port }) => Promise.resolve((signal) => connectTcp(host, port, signal)),
  prepareListen: () => Promise.resolve(({ host, port }) => Promise.resolve(listenTcp(host, port))),
};

/**
 * Connects to a TCP port, without delaying small writes (TCP_NODELAY).
 *
 * @throws {TransportError} naming the address and why, when nobody answers there.
 */
export async function connectTcp(
  host: string,
  port: number,
  signal?: AbortSignal,
): Promise<BytePipe & Deno.TcpConn> {
  const conn = await dialled(
    `tcp://${formatHostPort({ host, port })}`,
    Deno.connect({ transport: "tcp", hostname: host, port }),
    signal,
  );
  conn.setNoDelay(true);
  return conn;
}

/**
 * Listens on a TCP port; port 0 picks a free one.
 *
 * @throws {TransportError} naming the address, when it is taken or not this host's.
 */
export function listenTcp(host: string, port: number): Acceptor {
  const name = `tcp://${formatHostPort({ host, port })}`;
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ transport: "tcp", hostname: host, port });
  } catch (error) {
    const message = `Can't listen on ${name}: ${(error as Error).message}`;
    throw new TransportError(message, { cause: error });
  }
  return acceptFrom(listener, `tcp://${formatHostPort({ host, port: listener.addr.port })}`, {
    prepare: (conn) => (conn as Deno.TcpConn).setNoDelay(true),
  });
}
