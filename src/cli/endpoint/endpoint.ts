/**
 * An address as something to connect to or to listen on.
 *
 * @module
 */
import type { Acceptor, BytePipe, Dial, Logger } from "../../io/mod.ts";
import {
  connectSsh,
  connectTcp,
  connectTicket,
  connectTls,
  connectUnix,
  listenTcp,
  listenTicket,
  listenTls,
  listenUnix,
  stdioPipe,
  type TicketIdentity,
  type TlsCredentials,
} from "../../transport/mod.ts";
import { limits, PREFACE } from "../../tunnel/mod.ts";
import { type Address, formatAddress, isLocal } from "./address.ts";
import type { CommonOptions } from "../args/common.ts";
import type { TunnelOptions } from "../args/tunnel.ts";
import { UsageError } from "../args/usage_error.ts";

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
  if (address.transport === "ssh" || address.transport === "tls") {
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
 * @param credentials with `tls://`, this end's.
 * @param onLine told of what another host's programs say on standard error.
 */
export function dialer(
  address: Address,
  options: Pick<TunnelOptions, "ssh">,
  credentials: TlsCredentials | undefined,
  onLine: (line: string) => void,
): Dial {
  switch (address.transport) {
    case "ssh": {
      const { ssh } = options;
      if (!ssh) throw new UsageError("ssh:// lacks what to run over there");
      const preface = { bytes: PREFACE, maxBanner: limits.MAX_BANNER };
      return () => Promise.resolve(connectSsh({ ...address, ...ssh, preface, onLine }));
    }
    case "unix":
      return (signal) => connectUnix(address.path, signal);
    case "tls": {
      if (!credentials) throw new UsageError("tls:// lacks its certificates");
      return (signal) => connectTls(address.host, address.port, credentials, signal);
    }
    case "tcp":
      return (signal) => connectTcp(address.host, address.port, signal);
    case "ticket": {
      const { host, port, ticket } = address;
      if (!ticket) throw new UsageError(`${formatAddress(address)} lacks its ticket`);
      return (signal) => connectTicket(host, port, ticket.publicKey, signal);
    }
  }
}

/** What listening on some addresses takes. */
export interface ListenOptions {
  /** With a ticket: what this end is known by. */
  readonly identity: TicketIdentity | undefined;
  /** With `tls://`: this end's certificates. */
  readonly credentials: TlsCredentials | undefined;
  /** With `tls://`: the names that may come; none = all that the authority signed. */
  readonly allowClients: readonly string[];
  /** Called when no further connection can come. */
  readonly onOver: () => void;
  readonly log: Logger;
}

/** Listens on an address, or takes standard input and output as the one connection there will be. */
export async function listenOn(
  address: Address | "stdio",
  options: ListenOptions,
): Promise<Acceptor> {
  if (address === "stdio") return stdioAcceptor(options.onOver);
  const { identity, credentials, allowClients, log } = options;
  switch (address.transport) {
    case "unix":
      return await listenUnix(address.path);
    case "ssh":
      throw new UsageError("There is no listening on ssh://");
    case "tls":
      if (!credentials) throw new UsageError("tls:// lacks its certificates");
      return await listenTls(address.host, address.port, credentials, allowClients, (line) => {
        log.log("warning", line);
      });
    case "ticket":
      if (!identity) throw new UsageError(`${formatAddress(address)} lacks its ticket`);
      return listenTicket(address.host, address.port, identity);
    case "tcp":
      return listenTcp(address.host, address.port);
  }
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
