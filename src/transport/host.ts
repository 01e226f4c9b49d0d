import { InputError } from "./errors.ts";
import type { End } from "./transport.ts";

/** A host as it stands in front of a port: an IPv6 address in brackets. */
export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** `HOST:PORT`. */
export function formatHostPort({ host, port }: { host: string; port: number }): string {
  return `${bracketed(host)}:${port}`;
}

/** True for an address of the loopback interface, by its name or number. */
export function isLoopback(host: string): boolean {
  const plain = host.toLowerCase().replace(/^::ffff:/, "");
  return plain === "localhost" || plain === "::1" || /^127\.\d+\.\d+\.\d+$/.test(plain);
}

/**
 * Reads `HOST:PORT`. Port 0 picks a free one to listen on; nothing connects to it.
 *
 * @throws {InputError} naming what was given and what was expected.
 */
export function parseHostPort(
  scheme: string,
  rest: string,
  end: End,
): { host: string; port: number } {
  const text = `${scheme}://${rest}`;
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(rest);
  if (!parts) {
    throw new InputError(
      `got "${text}"; an IPv6 address stands in brackets, as in ${scheme}://[::1]:7450`,
    );
  }
  const host = parts[1] ?? parts[2] ?? "";
  if (host === "") {
    throw new InputError(`"${text}" names no host; expected ${scheme}://HOST:PORT`);
  }
  if (parts[3] === undefined || parts[3] === "") {
    const example = `${scheme}://${bracketed(host)}:7450`;
    throw new InputError(`"${text}" needs a port, as in ${example}`);
  }
  const least = end === "listening" ? 0 : 1;
  const port = /^\d+$/.test(parts[3]) ? Number(parts[3]) : NaN;
  if (!(port >= least && port <= 65535)) {
    throw new InputError(`got port "${parts[3]}", expected ${least} to 65535`);
  }
  return { host, port };
}
