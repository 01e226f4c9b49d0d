/**
 * Which requests the page's server answers. Pure.
 *
 * A page of another site can have a browser send requests here, and by DNS rebinding even read the answers, under a
 * name of that site. So a request has to name this server by a number or by the name it was started with, and has to
 * know the token in the path, which no other site and no other user of this host has.
 *
 * @module
 */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { encodeBase64Url } from "@std/encoding/base64url";

/** Bytes of a token. */
const TOKEN_BYTES = 16;

/** Where the server listens, and its secret. */
export interface Served {
  /** As it was given: a name or a number, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

/** A token that nobody can guess. */
export function makeToken(): string {
  return encodeBase64Url(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)));
}

/** The path below the token; or the status of the refusal, with its reason. */
export type Admission =
  | { readonly path: string }
  | { readonly status: 403 | 404 | 405; readonly reason: string };

/**
 * Looks at a request.
 *
 * @param request its method, its header `Host`, and its path.
 */
export function admit(
  served: Served,
  request: { readonly method: string; readonly host: string | null; readonly path: string },
): Admission {
  if (!isOwnName(served, request.host)) {
    return { status: 403, reason: "The header Host names another server" };
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, reason: "Only GET and HEAD are answered: nothing can be changed here" };
  }
  const [, token = "", ...rest] = request.path.split("/");
  if (!isSame(token, served.token)) {
    return { status: 404, reason: "There is nothing here: open the address that vmferry printed" };
  }
  return { path: `/${rest.join("/")}` };
}

/** `localhost`, an IP address, or the name that the server was started with, with its port. */
function isOwnName({ host, port }: Served, header: string | null): boolean {
  const parts = /^(\[[0-9a-f:.]+\]|[^:[\]]+):(\d+)$/i.exec(header ?? "");
  if (!parts) return false;
  const name = parts[1]!.toLowerCase();
  const isNumber = name.startsWith("[") || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
  const isOwn = isNumber || name === "localhost" || name === host.toLowerCase();
  return isOwn && Number(parts[2]) === port;
}

function isSame(a: string, b: string): boolean {
  const [one, other] = [a, b].map((text) => new TextEncoder().encode(text));
  return one!.length === other!.length && timingSafeEqual(one!, other!);
}
