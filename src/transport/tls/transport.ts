import { formatHostPort, isLoopback, parseHostPort } from "../host.ts";
import type { AddressedTransport, FlagValues } from "../transport.ts";
import { readCredentials } from "./credentials.ts";
import { connectTls, listenTls } from "./tls.ts";

/** `tls://HOST:PORT`. */
export interface TlsAddress {
  readonly transport: "tls";
  readonly host: string;
  readonly port: number;
}

/** TLS 1.3 with certificates that one CA signed for both ends. */
export const tls: AddressedTransport<TlsAddress> = {
  name: "tls",
  scheme: "tls",
  form: "tls://HOST:PORT",
  about: "encrypted, with certificates of one CA at both ends",
  encryption: "in-process",
  authenticates: true,
  hasSecret: false,
  mayReconnect: true,
  startsPeer: false,
  leastConnectMs: 0,
  flags: [
    {
      name: "tls-dir",
      value: "DIR",
      end: "both",
      required: true,
      help: "With tls://: directory with ca-cert.pem and, to listen, server-cert.pem and " +
        "server-key.pem, to connect, client-cert.pem and client-key.pem, as QEMU has them.",
    },
    {
      name: "allow-client",
      value: "NAME",
      many: true,
      end: "listening",
      help: "With tls://: let in only a client whose certificate has this name (its common name " +
        "or a DNS name). Repeatable. Default: every client with a certificate of the CA.",
    },
  ],
  parse: (rest, end) => ({ transport: "tls", ...parseHostPort("tls", rest, end) }),
  format: (address) => `tls://${formatHostPort(address)}`,
  isLocal: ({ host }) => isLoopback(host),
  async prepareDial({ host, port }, { flags, readPrivate }) {
    const credentials = await readCredentials(dirOf(flags), "client", readPrivate);
    return (signal) => connectTls(host, port, credentials, signal);
  },
  async prepareListen({ flags, readPrivate, warn }) {
    const credentials = await readCredentials(dirOf(flags), "server", readPrivate);
    const clients = flags["allow-client"] ?? [];
    return ({ host, port }) => listenTls(host, port, credentials, clients, warn);
  },
};

function dirOf(flags: FlagValues): string {
  return flags["tls-dir"]![0]!;
}
