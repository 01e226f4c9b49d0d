import { InputError } from "../errors.ts";
import { formatHostPort, isLoopback, parseHostPort } from "../host.ts";
import type { AddressedTransport } from "../transport.ts";
import { connectTicket, listenTicket } from "./connection.ts";
import type { TicketIdentity } from "./self_signed.ts";
import { Ticket } from "./ticket.ts";

/** `vmferry://HOST:PORT/TICKET`. */
export interface TicketAddress {
  readonly transport: "ticket";
  readonly host: string;
  readonly port: number;
  /** To connect: what the peer is known by. Absent until it is read from a file. */
  readonly ticket: Ticket | undefined;
  /** To listen: the key that this end holds. Absent until it is made. */
  readonly identity?: TicketIdentity;
}

/** TLS 1.3 in which a ticket names the key of the end that listens. */
export const ticket: AddressedTransport<TicketAddress> = {
  name: "ticket",
  scheme: "vmferry",
  form: "vmferry://HOST:PORT/TICKET",
  about: "encrypted, with the ticket that receive prints; to listen: without TICKET",
  encryption: "in-process",
  authenticates: true,
  hasSecret: true,
  mayReconnect: true,
  startsPeer: false,
  leastConnectMs: 0,
  flags: [],
  parse(rest, end) {
    const [where = "", text] = cut(rest);
    const at = parseHostPort("vmferry", where, end);
    if (text !== "" && end === "listening") {
      throw new InputError(
        "the ticket is made here; expected vmferry://HOST:PORT or tcp://HOST:PORT",
      );
    }
    return { transport: "ticket", ...at, ticket: text === "" ? undefined : Ticket.parse(text) };
  },
  format: (address) => `vmferry://${formatHostPort(address)}`,
  withoutSecret: (rest) => cut(rest)[0],
  isLocal: ({ host }) => isLoopback(host),
  prepareDial({ host, port, ticket }) {
    if (!ticket) {
      const message = "the address lacks its ticket: vmferry://HOST:PORT/TICKET";
      return Promise.reject(new InputError(message));
    }
    return Promise.resolve((signal) => connectTicket(host, port, ticket.publicKey, signal));
  },
  prepareListen: () =>
    Promise.resolve(({ host, port, identity }) => {
      if (!identity) throw new TypeError("No key was made to listen with");
      return Promise.resolve(listenTicket(host, port, identity));
    }),
};

/** Host and port, and the ticket behind them: "" where there is none. */
function cut(rest: string): [string, string] {
  const slash = rest.indexOf("/");
  return slash < 0 ? [rest, ""] : [rest.slice(0, slash), rest.slice(slash + 1)];
}
