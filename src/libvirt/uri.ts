/**
 * URIs of libvirt's connections on this host (https://libvirt.org/uri.html).
 *
 * @module
 */

/** A URI that `vmferry domain` cannot use. */
export class LibvirtUriError extends Error {
  /** The class, also in a bundle. */
  override name = "LibvirtUriError";
}

/** A connection to the QEMU driver of this host. */
export interface LibvirtUri {
  /** As the user wrote it. */
  readonly text: string;
  /** `system`: the host's daemon. `session`: the user's own one. */
  readonly mode: "system" | "session";
  /** The socket that it names by `?socket=`. */
  readonly socket: string | null;
  /** Parameters other than `socket`, as they stand. */
  readonly parameters: readonly string[];
}

/** The connection that `vmferry domain` uses where none is given, also of an ordinary user. */
export const DEFAULT_URI = "qemu:///system";

/**
 * Parses a URI of this host's QEMU driver.
 *
 * @throws {LibvirtUriError} for another host, another driver, another path.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(parseLibvirtUri("qemu:///session").mode, "session");
 * assertEquals(parseLibvirtUri("qemu:///system?socket=/run/my%20socket").socket, "/run/my socket");
 * assertThrows(() => parseLibvirtUri("qemu+ssh://root@host2/system"), LibvirtUriError, "host2");
 * ```
 */
export function parseLibvirtUri(text: string): LibvirtUri {
  const match = /^([a-z]+)(?:\+([a-z0-9]+))?:\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(text);
  const wrong = (reason: string) =>
    new LibvirtUriError(
      `The libvirt URI "${text}" ${reason}. Use ${DEFAULT_URI} or qemu:///session`,
    );
  if (match === null) throw wrong("is malformed");
  const [, driver = "", transport, host = "", path = "", query = ""] = match;
  if (driver.toLowerCase() !== "qemu") {
    throw wrong(`has the driver ${driver}, expected qemu`);
  }
  if (host !== "") {
    throw wrong(`names the host ${host}, but vmferry uses the libvirt of the host that it runs on`);
  }
  if (transport !== undefined && transport.toLowerCase() !== "unix") {
    throw wrong(`has the transport ${transport}, expected a UNIX socket of this host`);
  }
  const mode = path.slice(1);
  if (mode !== "system" && mode !== "session") {
    throw wrong(`has the path "${path}", expected /system or /session`);
  }
  const parameters = query.split(/[&;]/).filter((parameter) => parameter !== "");
  const isSocket = (parameter: string) => parameter.startsWith("socket=");
  const sockets = parameters.filter(isSocket).map((parameter) => decoded(parameter.slice(7)));
  const socket = sockets.at(-1) ?? null;
  if (socket !== null && !socket.startsWith("/")) {
    throw wrong(`has the socket "${socket}", expected an absolute path`);
  }
  return {
    text,
    mode,
    socket,
    parameters: parameters.filter((parameter) => !isSocket(parameter)),
  };
}

/**
 * The same connection over another socket. The socket decides which daemon answers; the path of the
 * URI has to fit that daemon.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   uriWithSocket(parseLibvirtUri("qemu:///system"), "/run/a&b"),
 *   "qemu+unix:///system?socket=/run/a%26b",
 * );
 * ```
 */
export function uriWithSocket(uri: LibvirtUri, socket: string): string {
  const path = encodeURIComponent(socket).replaceAll("%2F", "/");
  // `mode` chooses between sockets that libvirt would look for by itself.
  const others = uri.parameters.filter((parameter) => !parameter.startsWith("mode="));
  return `qemu+unix:///${uri.mode}?${[`socket=${path}`, ...others].join("&")}`;
}

/** The user whose libvirt is looked for. */
export interface LibvirtUser {
  /** Number of the user. */
  readonly uid: number;
  /** `$XDG_RUNTIME_DIR`, where it is set. */
  readonly runtimeDir: string | undefined;
}

/**
 * Paths where the daemon behind a URI may listen, in the order of preference: its own socket where
 * the URI names one; else the modular daemon (virtqemud) before the monolithic one (libvirtd).
 */
export function socketCandidates(uri: LibvirtUri, user: LibvirtUser): string[] {
  if (uri.socket !== null) return [uri.socket];
  const directories = uri.mode === "system"
    ? ["/run/libvirt", "/var/run/libvirt"]
    : [`${user.runtimeDir ?? `/run/user/${user.uid}`}/libvirt`];
  return directories.flatMap((directory) => daemons(uri).map((socket) => `${directory}/${socket}`));
}

/** `mode=direct` allows the modular daemon only, `mode=legacy` the monolithic one only. */
function daemons(uri: LibvirtUri): string[] {
  const [direct, legacy] = ["virtqemud-sock", "libvirt-sock"];
  if (uri.parameters.includes("mode=direct")) return [direct];
  if (uri.parameters.includes("mode=legacy")) return [legacy];
  return [direct, legacy];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
