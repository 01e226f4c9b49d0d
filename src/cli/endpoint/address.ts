/**
 * Addresses as they are typed: `tcp://HOST:PORT`, `vmferry://HOST:PORT/TICKET`, `unix:///PATH`.
 *
 * @module
 */
import { Ticket } from "./ticket.ts";
import { UsageError } from "../args/usage_error.ts";

/** Where a tunnel listens or connects to. */
export type Address =
  | { readonly transport: "tcp"; readonly host: string; readonly port: number }
  /** Encrypted, for whoever has the ticket. Without one, it is to be made or comes from a file. */
  | {
    readonly transport: "ticket";
    readonly host: string;
    readonly port: number;
    readonly ticket: Ticket | undefined;
  }
  /** With certificates that one authority signed. */
  | { readonly transport: "tls"; readonly host: string; readonly port: number }
  /** A vmferry over there, started by ssh. */
  | {
    readonly transport: "ssh";
    readonly user: string | undefined;
    readonly host: string;
    readonly port: number | undefined;
  }
  | { readonly transport: "unix"; readonly path: string };

const SCHEMES = "vmferry://, ssh://, tls://, tcp:// or unix://";
/** Longest path of a UNIX socket, bytes (sun_path without its end). */
const MAX_SOCKET_PATH = 107;

/**
 * @param what names the argument in errors, such as `--listen`.
 * @throws {UsageError} saying what is wrong with it.
 */
export function parseAddress(text: string, what: string): Address {
  const match = /^([a-z]+):\/\/(.*)$/.exec(text);
  if (!match) {
    throw new UsageError(
      `${what}: got "${text}", expected an address such as tcp://HOST:PORT or unix:///PATH`,
    );
  }
  const [, scheme, rest = ""] = match;
  if (scheme === "unix") return { transport: "unix", path: parseSocketPath(rest, what) };
  if (scheme === "vmferry") return parseTicketAddress(rest, what);
  if (scheme === "ssh") return parseSsh(rest, what);
  if (scheme !== "tcp" && scheme !== "tls") {
    throw new UsageError(`${what}: got "${scheme}://", expected ${SCHEMES}`);
  }
  return { transport: scheme, ...parseHostPort(scheme, rest, what) };
}

/**
 * An address to connect to, where port 0 is no port.
 *
 * @throws {UsageError} as {@link parseAddress} does.
 */
export function parseDestination(text: string, what: string): Address {
  const address = parseAddress(text, what);
  if ("port" in address && address.port === 0) {
    throw new UsageError(`${what}: got port "0", expected 1 to 65535`);
  }
  return address;
}

/** Nothing of the ticket is repeated in an error. */
function parseTicketAddress(rest: string, what: string): Address {
  const slash = rest.indexOf("/");
  const where = parseHostPort("vmferry", slash < 0 ? rest : rest.slice(0, slash), what);
  const text = slash < 0 ? "" : rest.slice(slash + 1);
  const ticket = text === "" ? undefined : Ticket.parse(text, what);
  return { transport: "ticket", ...where, ticket };
}

/** A name that begins with a dash would be an option to ssh. */
function parseSsh(rest: string, what: string): Address {
  const match =
    /^(?:([^@\s-][^@\s]*)@)?(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9_][A-Za-z0-9._-]*))(?::(\d+))?\/?$/
      .exec(rest);
  const port = match?.[4] === undefined ? undefined : Number(match[4]);
  if (!match || (port !== undefined && (port < 1 || port > 65535))) {
    throw new UsageError(`${what}: got "ssh://${rest}", expected ssh://[USER@]HOST[:PORT]`);
  }
  return { transport: "ssh", user: match[1], host: match[2] ?? match[3]!, port };
}

function parseHostPort(
  scheme: string,
  rest: string,
  what: string,
): { host: string; port: number } {
  const text = `${scheme}://${rest}`;
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(rest);
  if (!parts) {
    throw new UsageError(
      `${what}: got "${text}"; an IPv6 address stands in brackets, as in ${scheme}://[::1]:7450`,
    );
  }
  const host = parts[1] ?? parts[2] ?? "";
  if (host === "") throw new UsageError(`${what}: "${text}" names no host`);
  if (parts[3] === undefined || parts[3] === "") {
    throw new UsageError(
      `${what}: "${text}" needs a port, as in ${scheme}://${rest || "host"}:7450`,
    );
  }
  const port = /^\d+$/.test(parts[3]) ? Number(parts[3]) : NaN;
  if (!(port >= 0 && port <= 65535)) {
    throw new UsageError(`${what}: got port "${parts[3]}", expected 0 to 65535`);
  }
  return { host, port };
}

/**
 * The path of a UNIX socket.
 *
 * @throws {UsageError} when it is not absolute or longer than the kernel takes.
 */
export function parseSocketPath(path: string, what: string): string {
  if (!path.startsWith("/") || path === "/") {
    throw new UsageError(
      `${what}: got path "${path}", expected an absolute one: unix:///run/x.sock`,
    );
  }
  return checkSocketPath(path, what);
}

/**
 * The path of a UNIX socket, absolute or not.
 *
 * @throws {UsageError} when it is longer than the kernel takes.
 */
export function checkSocketPath(path: string, what: string): string {
  const length = new TextEncoder().encode(path).length;
  if (length > MAX_SOCKET_PATH) {
    throw new UsageError(
      `${what}: the path has ${length} bytes, a UNIX socket's has ${MAX_SOCKET_PATH} at most`,
    );
  }
  return path;
}

/** The address as text, without its ticket. */
export function formatAddress(address: Address): string {
  if (address.transport === "unix") return `unix://${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  if (address.transport === "ssh") {
    const user = address.user === undefined ? "" : `${address.user}@`;
    return `ssh://${user}${host}${address.port === undefined ? "" : `:${address.port}`}`;
  }
  const scheme = address.transport === "ticket" ? "vmferry" : address.transport;
  return `${scheme}://${host}:${address.port}`;
}

/** The text of an address, without the ticket that it may have. */
export function withoutTicket(text: string): string {
  return text.replace(/(?<=^vmferry:\/\/[^/]*)\/.*/, "");
}

/** True when nothing leaves this machine. */
export function isLocal(address: Address): boolean {
  if (address.transport === "unix") return true;
  if (address.transport === "ssh") return false;
  const host = address.host.toLowerCase().replace(/^::ffff:/, "");
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
