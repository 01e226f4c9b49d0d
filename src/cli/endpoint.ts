/**
 * An address as something to connect to or to listen on.
 *
 * @module
 */
import type { Acceptor, BytePipe, Dial } from "../io/mod.ts";
import {
  connectTcp,
  connectTicket,
  connectUnix,
  listenTcp,
  listenTicket,
  listenUnix,
  stdioPipe,
  type TicketIdentity,
} from "../tunnel/mod.ts";
import { type Address, formatAddress, isLocal } from "./address.ts";
import type { CommonOptions } from "./args.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Holds an address against what was said about safety.
 *
 * @returns a warning that is due, if any.
 * @throws {UsageError} when the way there is open to others and that was not allowed.
 */
export function checkSafety(
  address: Address,
  options: Pick<CommonOptions, "insecure" | "secretFile">,
): string | undefined {
  const text = formatAddress(address);
  if (address.transport === "ticket") {
    if (options.insecure) {
      throw new UsageError(`${text} is encrypted; --insecure asks for the opposite`);
    }
    if (options.secretFile !== undefined) {
      throw new UsageError(`${text} has a secret of its own, in its ticket; --secret-file is idle`);
    }
    return undefined;
  }
  if (isLocal(address)) return undefined;
  if (!options.insecure) {
    throw new UsageError(
      `${text} goes beyond this machine and plain tcp is not encrypted: use the vmferry:// address ` +
        "that 'vmferry receive' shows, or give --insecure on both ends if the network between " +
        "them is yours alone",
    );
  }
  if (options.secretFile === undefined) {
    throw new UsageError(
      `${text} goes beyond this machine: give --secret-file on both ends, or anybody could connect`,
    );
  }
  return `${text} is not encrypted: whoever is on the way can read memory and disks and change them`;
}

/** How to connect to an address. */
export function dialer(address: Address): Dial {
  switch (address.transport) {
    case "unix":
      return (signal) => connectUnix(address.path, signal);
    case "tcp":
      return (signal) => connectTcp(address.host, address.port, signal);
    case "ticket": {
      const { host, port, ticket } = address;
      if (!ticket) throw new UsageError(`${formatAddress(address)} lacks its ticket`);
      return (signal) => connectTicket(host, port, ticket.publicKey, signal);
    }
  }
}

/**
 * Listens on an address, or takes standard input and output as the one connection there will be.
 *
 * @param identity what a ticket's end is known by.
 */
export async function listenOn(
  address: Address | "stdio",
  identity: TicketIdentity | undefined,
): Promise<Acceptor> {
  if (address === "stdio") return stdioAcceptor();
  if (address.transport === "unix") return await listenUnix(address.path);
  if (identity) return listenTicket(address.host, address.port, identity);
  return listenTcp(address.host, address.port);
}

function stdioAcceptor(): Acceptor {
  const closed = Promise.withResolvers<undefined>();
  let pipe: BytePipe | undefined = stdioPipe();
  return {
    address: "stdio",
    accept() {
      const only = pipe;
      pipe = undefined;
      return only ? Promise.resolve(only) : closed.promise;
    },
    close: () => closed.resolve(undefined),
  };
}
