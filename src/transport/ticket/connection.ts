/**
 * TLS 1.3 to the holder of a key that the ticket names: no host names, no CA, no clock.
 *
 * @module
 */
import type { Acceptor, BytePipe } from "../../io/mod.ts";
import { acceptFrom } from "../accept.ts";
import { TransportError } from "../errors.ts";
import { forgetEnvironmentCas } from "../tls/environment.ts";
import { bracketed } from "../host.ts";
import { startTls, tlsPipe } from "./tls_pipe.ts";
import { TICKET_NAME, ticketAnchor, type TicketIdentity } from "./self_signed.ts";
import { connectTcp } from "../tcp.ts";

/**
 * Connects to the end that holds the private key of `publicKey`, and to nobody else.
 *
 * @throws {TransportError} naming the address and why, when nobody answers there or another host does.
 */
export async function connectTicket(
  host: string,
  port: number,
  publicKey: Uint8Array,
  signal?: AbortSignal,
): Promise<BytePipe> {
  forgetEnvironmentCas();
  // Deno trusts the public CAs too; none of them signs a name under .invalid (RFC 2606).
  const tls = { hostname: TICKET_NAME, caCerts: [ticketAnchor(publicKey)] };
  const who = `${bracketed(host)}:${port}`;
  return await startTls(
    await connectTcp(host, port, signal),
    tls,
    { who, proof: "ticket" },
    signal,
  );
}

/**
 * Listens for ends that hold the ticket of `identity`; port 0 picks a free one.
 *
 * @throws {TransportError} naming the address, when it is taken or not this host's.
 */
export function listenTicket(host: string, port: number, identity: TicketIdentity): Acceptor {
  forgetEnvironmentCas();
  const name = `vmferry://${bracketed(host)}`;
  let listener: Deno.TlsListener;
  try {
    const { certificate, privateKey } = identity;
    listener = Deno.listenTls({ hostname: host, port, cert: certificate, key: privateKey });
  } catch (error) {
    throw new TransportError(`Can't listen on ${name}:${port}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return acceptFrom(listener, `${name}:${listener.addr.port}`, {
    wrap: (conn) => {
      const { hostname, port } = conn.remoteAddr as Deno.NetAddr;
      const who = `${bracketed(hostname)}:${port}`;
      // Deno offers no TCP_NODELAY on what a TLS listener accepts.
      return tlsPipe(conn as Deno.TlsConn, { who, proof: "ticket", delaysSmallWrites: true });
    },
  });
}
