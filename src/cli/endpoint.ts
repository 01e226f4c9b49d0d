/**
 * An address as something to connect to or to listen on.
 *
 * @module
 */
import type { Acceptor, BytePipe, Dial } from "../io/mod.ts";
import {
  connectSsh,
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
import type { CommonOptions, TunnelOptions } from "./args.ts";
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
  if (address.transport === "ssh") {
    if (options.insecure) {
      throw new UsageError(`${text} is encrypted; --insecure asks for the opposite`);
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

/**
 * How to connect to an address.
 *
 * @param onLine told of what another host's programs say on standard error.
 */
export function dialer(
  address: Address,
  options: Pick<TunnelOptions, "ssh">,
  onLine: (line: string) => void,
): Dial {
  switch (address.transport) {
    case "ssh": {
      const { ssh } = options;
      if (!ssh) throw new UsageError("ssh:// lacks what to run over there");
      return () => Promise.resolve(connectSsh({ ...address, ...ssh, onLine }));
    }
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
 * @param onOver called when no further connection can come.
 */
export async function listenOn(
  address: Address | "stdio",
  identity: TicketIdentity | undefined,
  onOver: () => void,
): Promise<Acceptor> {
  if (address === "stdio") return stdioAcceptor(onOver);
  if (address.transport === "unix") return await listenUnix(address.path);
  if (address.transport === "ssh") throw new UsageError("There is no listening on ssh://");
  if (identity) return listenTicket(address.host, address.port, identity);
  return listenTcp(address.host, address.port);
}

/** There is one connection and no other after it: `onOver` is called when that one is closed. */
function stdioAcceptor(onOver: () => void): Acceptor {
  const closed = Promise.withResolvers<undefined>();
  const only = stdioPipe();
  let pipe: BytePipe | undefined = {
    ...only,
    close() {
      only.close();
      onOver();
    },
  };
  return {
    address: "stdio",
    accept() {
      const taken = pipe;
      pipe = undefined;
      return taken ? Promise.resolve(taken) : closed.promise;
    },
    close: () => closed.resolve(undefined),
  };
}
