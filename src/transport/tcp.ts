import type { Acceptor, BytePipe } from "../io/mod.ts";
import { acceptFrom, dialled } from "./accept.ts";
import { TransportError } from "./errors.ts";
import { bracketed } from "./host.ts";

/**
 * Connects to a TCP port, without delaying small writes (TCP_NODELAY).
 *
 * @throws {Error} naming the address and why, when nobody answers there.
 */
export async function connectTcp(
  host: string,
  port: number,
  signal?: AbortSignal,
): Promise<BytePipe & Deno.TcpConn> {
  const conn = await dialled(
    `tcp://${bracketed(host)}:${port}`,
    Deno.connect({ transport: "tcp", hostname: host, port }),
    signal,
  );
  conn.setNoDelay(true);
  return conn;
}

/**
 * Listens on a TCP port; port 0 picks a free one.
 *
 * @throws {Error} naming the address, when it is taken or not this host's.
 */
export function listenTcp(host: string, port: number): Acceptor {
  const name = `tcp://${bracketed(host)}:${port}`;
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ transport: "tcp", hostname: host, port });
  } catch (error) {
    const message = `Can't listen on ${name}: ${(error as Error).message}`;
    throw new TransportError(message, { cause: error });
  }
  return acceptFrom(listener, `tcp://${bracketed(host)}:${listener.addr.port}`, {
    prepare: (conn) => (conn as Deno.TcpConn).setNoDelay(true),
  });
}
