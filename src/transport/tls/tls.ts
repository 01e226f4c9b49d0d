/**
 * TLS 1.3 with certificates of one CA that both ends trust, and no other CA.
 *
 * By `node:tls`: Deno's own TLS can't demand a client's certificate, and trusts the public CAs beside
 * the one that it gets.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Acceptor, type BytePipe, messageOf, rootOf } from "../../io/mod.ts";
import { InputError, TransportError } from "../errors.ts";
import { bracketed } from "../host.ts";
import { forgetEnvironmentCas } from "./environment.ts";
import { NodePipe } from "./node_pipe.ts";
import { certificateNames, mayCome } from "./certificate_names.ts";
import { TlsError } from "./words.ts";

/** Certificates and keys, PEM. */
export interface TlsCredentials {
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
}

const COMMON = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3", allowHalfOpen: true } as const;
/** How long a handshake may take at the listening end, ms. */
const HANDSHAKE_MS = 10_000;
/** Connections that wait for `accept`, at a time. */
const MAX_WAITING = 32;
/** Connections in the handshake of TLS at a time; one more takes the oldest one's place. */
const MAX_YOUNG = 64;

/**
 * Connects to a host whose certificate the CA signed, for that name.
 *
 * @throws {TransportError} when nobody answers at the address.
 * @throws {TlsError} when the handshake fails.
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
  // In TLS 1.3 a server looks at the client's certificate after the client's handshake is complete.
  const silent = `${who} ended the connection without a word: it does not take this end's ` +
    "certificate, or is no vmferry";
  const explain = (error: unknown) => new TlsError(error, "certificates", who);
  const pipe = new NodePipe(socket, explain, silent);
  let reached = false;
  socket.once("connect", () => reached = true);
  const close = () => pipe.close();
  signal?.addEventListener("abort", close, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      pipe.failed.then(reject);
    });
    if (!socket.authorized) throw explain(socket.authorizationError);
    return pipe;
  } catch (error) {
    close();
    if (signal?.aborted) throw signal.reason;
    if (reached) throw error;
    const cause = rootOf(error);
    throw new TransportError(`Can't connect to tls://${who}: ${messageOf(cause)}`, { cause });
  } finally {
    signal?.removeEventListener("abort", close);
  }
}

/**
 * Listens for clients whose certificate the CA signed; port 0 picks a free port.
 *
 * @param clients the names of which a client's certificate must have one; none: every client may come.
 * @param log gets a line for each rejected connection.
 * @throws {TransportError} naming the address, when it is taken or not this host's.
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
    const pipe = new NodePipe(socket, (error) => new TlsError(error, "certificates", who));
    // `node:tls` rejects a certificate that is not signed; before Deno 2.9 it did not.
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
    const { message } = new TlsError(reason, "certificates", "a client");
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

function options({ ca, certificate, privateKey }: TlsCredentials) {
  return { ca, cert: certificate, key: privateKey };
}

function nameOfPeer({ remoteAddress, remotePort }: Socket): string {
  return `${bracketed(remoteAddress ?? "?")}:${remotePort ?? 0}`;
}

/** A number is no server name (RFC 6066 section 3); the certificate is compared with `host` all the same. */
function nameOf(host: string): { servername?: string } {
  return /^[\d.]+$|:/.test(host) ? {} : { servername: host };
}

/**
 * `node:tls`, from Deno 2.9 on: before, a server that demands a certificate let in clients without one,
 * and a client trusted the public CAs too.
 */
async function nodeTls(): Promise<typeof import("node:tls")> {
  forgetEnvironmentCas();
  const tls = await import("node:tls");
  if (!("getPeerX509Certificate" in tls.TLSSocket.prototype)) {
    throw new InputError(
      `tls:// needs a vmferry that was built with Deno 2.9 or newer, this one has ` +
        `${Deno.version.deno}: use a ticket or ssh://`,
    );
  }
  return tls;
}
