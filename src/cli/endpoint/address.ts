/**
 * Addresses and paths as they are typed; what is wrong with one names the argument that it stands in.
 *
 * @module
 */
import * as transport from "../../transport/mod.ts";
import type { Address } from "../../transport/mod.ts";
import { inputOf } from "./input_error.ts";

export {
  type Address,
  formatAddress,
  withoutSecret as withoutTicket,
} from "../../transport/mod.ts";

/**
 * Reads an address to listen on, where port 0 is any free port.
 *
 * @param what names the argument in errors, such as `--listen`.
 * @throws {UsageError} naming what was given and what was expected.
 */
export function parseAddress(text: string, what: string): Address {
  return inputOf(() => transport.parseAddress(text, "listening"), what);
}

/**
 * Reads an address to connect to.
 *
 * @throws {UsageError} as {@link parseAddress} does.
 */
export function parseDestination(text: string, what: string): Address {
  return inputOf(() => transport.parseAddress(text, "connecting"), what);
}

/**
 * Reads the absolute path of a UNIX socket.
 *
 * @throws {UsageError} when it is not absolute or longer than the kernel takes.
 */
export function parseSocketPath(path: string, what: string): string {
  return inputOf(() => transport.parseSocketPath(path), what);
}

/**
 * Reads the path of a UNIX socket, absolute or not.
 *
 * @throws {UsageError} when it is longer than the kernel takes.
 */
export function checkSocketPath(path: string, what: string): string {
  return inputOf(() => transport.checkSocketPath(path), what);
}
