/**
 * The table of transports, and addresses of any of them. A transport that stands here is in addresses,
 * flags and help.
 *
 * @module
 */
import { InputError } from "./errors.ts";
import { ssh } from "./ssh/transport.ts";
import { stdio } from "./stdio.ts";
import { tcp } from "./tcp.ts";
import { ticket } from "./ticket/transport.ts";
import { tls } from "./tls/transport.ts";
import type { AddressedTransport, End, Transport } from "./transport.ts";
import { unix } from "./unix.ts";

/** Every transport with addresses, in the order of the help. */
export const TRANSPORTS = [ticket, ssh, tls, tcp, unix] as const;

/** Where a session is listened for or connected to; `transport` is the name of its transport. */
export type Address = ReturnType<(typeof TRANSPORTS)[number]["parse"]>;

// Each transport gets its own addresses only: `transportOf` finds it by the address.
const ALL = TRANSPORTS as readonly unknown[] as readonly AddressedTransport<Address>[];

/** The transport of an address. */
export function transportOf(address: Address): AddressedTransport<Address> {
  return ALL.find(({ name }) => name === address.transport)!;
}

/** The transport of an end that listens. */
export function listenerOf(address: Address | "stdio"): Transport<Address | "stdio"> {
  const found = address === "stdio" ? stdio : transportOf(address);
  return found as Transport<never> as Transport<Address | "stdio">;
}

/** The transport that a text names by its scheme, and the rest of the text. */
export function splitAddress(
  text: string,
): { readonly transport: AddressedTransport<Address>; readonly rest: string } | undefined {
  const [, scheme, rest = ""] = /^([a-z]+):\/\/(.*)$/.exec(text) ?? [];
  const transport = ALL.find((known) => known.scheme === scheme);
  return transport && { transport, rest };
}

/**
 * Reads an address.
 *
 * @throws {InputError} naming what was given and what was expected; it repeats no secret.
 */
export function parseAddress(text: string, end: End): Address {
  const split = splitAddress(text);
  if (split) return split.transport.parse(split.rest, end);
  const scheme = /^[a-z]+:\/\//.exec(text)?.[0];
  const schemes = ALL.map((known) => `${known.scheme}://`);
  throw new InputError(
    `got "${scheme ?? text}", expected an address that begins with ` +
      `${schemes.slice(0, -1).join(", ")} or ${schemes.at(-1)}` +
      (end === "connecting" && /^([\w.-]+@)?[\w.-]+$/.test(text) ? `. For ssh: ssh://${text}` : ""),
  );
}

/** The address as text, without a secret. */
export function formatAddress(address: Address): string {
  return transportOf(address).format(address);
}

/** The text of an address without the secret that it may have; any other text as it is. */
export function withoutSecret(text: string): string {
  const { transport, rest } = splitAddress(text) ?? {};
  if (!transport?.withoutSecret) return text;
  return `${transport.scheme}://${transport.withoutSecret(rest!)}`;
}
