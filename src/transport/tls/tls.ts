/**
 * TLS with certificates of an authority that both ends have in common, and no other authority.
 *
 * By `node:tls`: Deno's own TLS can't demand a client's certificate, and trusts the public
 * authorities beside the one it is given.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Acceptor, BytePipe } from "../../io/mod.ts";
import { TransportError } from "../errors.ts";
import { bracketed } from "../host.ts";
import { forgetAuthorities } from "./environment.ts";
import { NodePipe } from "./node_pipe.ts";
import { certificateNames, mayCome } from "./certificate_names.ts";
import { tlsError } from "./words.ts";

/** Certificates and keys, PEM. */
export interface TlsCredentials {
  readonly authority: string;
  readonly certificate: string;
  readonly privateKey: string;
}

const COMMON = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3", allowHalfOpen: true } as const;
/** How long a handshake may take at the listening end, ms. */
const HANDSHAKE_MS = 10_000;
/** Connections that wait to be taken, at a time. */
const MAX_WAITING = 32;
/** Connections in the handshake of TLS at a time; one more takes the oldest one's place. */
const MAX_YOUNG = 64;

/**
 * Connects to a host whose certificate the authority signed, for that name.
 *
 * @throws {Error} in words, when nobody answers there or the other end can't prove itself.
 */
export async function connectTls(
  host: string,
  port: number,
  credentials: TlsCredentials,
  signal?: AbortSignal,
): Promise<BytePipe> {
  const tls = await nodeTls();
  const who = `${bracketed(host)}:${port}`;
  signal?.throwIfAborted();
  const socket = tls.connect({ ...COMMON, host, port, ...options(credentials), ...nameOf(host) });
  socket.setNoDelay(true);
  // It was only after the handshake, as this end sees it, that the other one looked at it.
  const silent = `${who} ended the connection without a word: it does not take this end's ` +
    "certificate, or is no vmferry";
  const explain = (error: unknown) => tlsError(error, "certificates", who);
  const pipe = new NodePipe(socket, explain, silent);
  const close = () => pipe.close();
  signal?.addEventListener("abort", close, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      pipe.failed.then(reject);
    });
    if (!socket.authorized) throw new Error(String(socket.authorizationError));
    return pipe;
  } catch (error) {
    close();
    if (signal?.aborted) throw signal.reason;
    if (/ECONN|ENOTFOUND|EHOST|ENET|ETIMEDOUT|refused|getaddrinfo/i.test(String(error))) {
      const { message } = error as Error;
      throw new TransportError(`Can't connect to tls://${who}: ${message}`, { cause: error });
    }
    throw error instanceof Error && error.message.includes("(TLS: ") ? error : explain(error);
  } finally {
    signal?.removeEventListener("abort", close);
  }
}

/**
 * Listens for ends whose certificate the authority signed; port 0 picks a free one.
 *
 * @param clients the names of which a client's certificate must have one; none = whoever has one.
 * @param log told of who was turned away.
 * @throws {Error} naming the address, when it is taken or not this host's.
 */
export async function listenTls(
  host: string,
  port: number,
  credentials: TlsCredentials,
  clients: readonly string[],
  log: (line: string) => void,
): Promise<Acceptor> {
  const tls = await nodeTls();
  const name = `tls://${bracketed(host)}`;
  const waiting: BytePipe[] = [];
  let wake: (() => void) | undefined;
  let closed = false;
  const server = tls.createServer({
    ...COMMON,
    ...options(credentials),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: HANDSHAKE_MS,
    noDelay: true,
  });
  const young = new Map<string, Socket>();
  server.on("connection", (socket: Socket) => {
    const who = nameOfPeer(socket);
    const [oldest] = young.values();
    if (young.size >= MAX_YOUNG) oldest?.destroy();
    young.set(who, socket);
    socket.once("close", () => young.delete(who));
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    const who = nameOfPeer(socket);
    young.delete(who);
    socket.setNoDelay(true);
    const pipe = new NodePipe(socket, (error) => tlsError(error, "certificates", who));
    // The TLS below has refused what is not signed; that it did is looked at all the same.
    if (!socket.authorized || closed || waiting.length >= MAX_WAITING) return pipe.close();
    pipe.peer = who;
    const names = certificateNames(socket.getPeerCertificate());
    if (!mayCome(names, clients)) {
      const whose = names.length > 0 ? names.join(", ") : "a client without any name";
      pipe.refusal = `The certificate of ${whose} is not among those that --allow-client names`;
    }
    waiting.push(pipe);
    wake?.();
  });
  server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    const reason = socket.authorizationError ?? error;
    const from = socket.remoteAddress ? ` from ${nameOfPeer(socket)}` : "";
    const { message } = tlsError(reason, "certificates", "a client");
    log(`rejected a connection${from}: ${message}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, MAX_WAITING, resolve);
  }).catch((error) => {
    throw new TransportError(`Can't listen on ${name}:${port}: ${error.message}`, { cause: error });
  });
  server.on("error", (error: Error) => log(`${name}: ${error.message}`));
  const address = server.address();
  const chosen = typeof address === "object" && address ? address.port : port;
  return {
    address: `${name}:${chosen}`,
    async accept() {
      while (!closed) {
        const pipe = waiting.shift();
        if (pipe) return pipe;
        await new Promise<void>((resolve) => wake = resolve);
      }
      return undefined;
    },
    close() {
      if (closed) return;
      closed = true;
      server.close();
      for (const pipe of waiting) pipe.close();
      wake?.();
    },
  };
}

function options({ authority, certificate, privateKey }: TlsCredentials) {
  return { ca: authority, cert: certificate, key: privateKey };
}

function nameOfPeer({ remoteAddress, remotePort }: Socket): string {
  return `${bracketed(remoteAddress ?? "?")}:${remotePort ?? 0}`;
}

/** An address is no server name (RFC 6066); the certificate is held against `host` all the same. */
function nameOf(host: string): { servername?: string } {
  return /^[\d.]+$|:/.test(host) ? {} : { servername: host };
}

/**
 * `node:tls`, where it does what is asked of it here: before Deno 2.9 a server let everybody in
 * that a certificate had been demanded of, and a client trusted the public authorities too.
 */
async function nodeTls(): Promise<typeof import("node:tls")> {
  forgetAuthorities();
  const tls = await import("node:tls");
  if (!("getPeerX509Certificate" in tls.TLSSocket.prototype)) {
    throw new Error(
      `tls:// needs a vmferry that was built with Deno 2.9 or newer, this one has ` +
        `${Deno.version.deno}: use a ticket or ssh://`,
    );
  }
  return tls;
}
