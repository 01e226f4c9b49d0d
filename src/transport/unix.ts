import type { Acceptor, BytePipe } from "../io/mod.ts";
import { InputError, TransportError } from "./errors.ts";
import type { AddressedTransport } from "./transport.ts";
import { acceptFrom, dialled } from "./accept.ts";

/** `unix:///PATH`. */
export interface UnixAddress {
  readonly transport: "unix";
  readonly path: string;
}

/** A UNIX socket that only its user may use. */
export const unix: AddressedTransport<UnixAddress> = {
  name: "unix",
  scheme: "unix",
  form: "unix:///PATH",
  about: "a UNIX socket on this host",
  encryption: "none",
  // By the mode of the socket file.
  authenticates: true,
  hasSecret: false,
  mayReconnect: true,
  startsPeer: false,
  leastConnectMs: 0,
  flags: [],
  parse: (rest) => ({ transport: "unix", path: parseSocketPath(rest) }),
  format: ({ path }) => `unix://${path}`,
  isLocal: () => true,
  prepareDial: ({ path }) => Promise.resolve((signal) => connectUnix(path, signal)),
  prepareListen: () => Promise.resolve(({ path }) => listenUnix(path)),
};

/** Longest path of a UNIX socket, bytes (`sun_path` without its end, unix(7)). */
const MAX_SOCKET_PATH = 107;

/**
 * The absolute path of a UNIX socket.
 *
 * @throws {InputError} when it is not absolute or longer than the kernel takes.
 */
export function parseSocketPath(path: string): string {
  if (!path.startsWith("/") || path === "/") {
    throw new InputError(`got path "${path}", expected an absolute one: unix:///run/x.sock`);
  }
  return checkSocketPath(path);
}

/**
 * The path of a UNIX socket, absolute or not.
 *
 * @throws {InputError} when it is longer than the kernel takes.
 */
export function checkSocketPath(path: string): string {
  const { length } = new TextEncoder().encode(path);
  if (length > MAX_SOCKET_PATH) {
    throw new InputError(
      `the path has ${length} bytes, a UNIX socket's has ${MAX_SOCKET_PATH} at most`,
    );
  }
  return path;
}

/**
 * Connects to a UNIX socket.
 *
 * @throws {TransportError} naming the path and why: no such file, no permission, no socket, nobody listening.
 */
export function connectUnix(path: string, signal?: AbortSignal): Promise<BytePipe> {
  const connecting = Deno.connect({ transport: "unix", path })
    .catch(async (error) => {
      throw new Error(await whatElse(path, error) ?? explained(error), { cause: error });
    });
  return dialled(path.startsWith("/") ? `unix://${path}` : path, connecting, signal);
}

/**
 * Listens on a UNIX socket that only this user may use (mode 0600), and removes it when closed. A
 * socket file that nobody listens on any more is replaced.
 *
 * @throws {TransportError} naming the path, when it can't be had.
 */
export async function listenUnix(path: string): Promise<Acceptor> {
  let listener: Deno.UnixListener;
  try {
    await removeStale(path);
    const before = Deno.umask(0o177);
    try {
      listener = Deno.listen({ transport: "unix", path });
    } finally {
      Deno.umask(before);
    }
  } catch (error) {
    throw new TransportError(`Can't listen on unix://${path}: ${explained(error)}`, {
      cause: error,
    });
  }
  return acceptFrom(listener, `unix://${path}`, {
    cleanUp: () => {
      try {
        Deno.removeSync(path);
      } catch {
        // Another program removed it, with the whole directory perhaps.
      }
    },
  });
}

/** The error for a path that is no socket: it refuses connections like a socket without a listener. */
async function whatElse(path: string, error: unknown): Promise<string | undefined> {
  if (!(error instanceof Deno.errors.ConnectionRefused)) return undefined;
  const info = await Deno.stat(path).catch(() => undefined);
  if (!info || info.isSocket) return undefined;
  return `it is a ${info.isDirectory ? "directory" : "file"} and no socket`;
}

/** The system's message; Deno has one of its own for the kernel's file systems, which it does not open. */
function explained(error: unknown): string {
  if (!(error instanceof Deno.errors.NotCapable)) return (error as Error).message;
  return "sockets under /dev, /proc and /sys are out of reach; use a path elsewhere, such as /run";
}

/** Removes a socket file whose listener is gone; any other file is left alone. */
async function removeStale(path: string): Promise<void> {
  const info = await Deno.lstat(path).catch(() => undefined);
  if (!info?.isSocket) return;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) await Deno.remove(path);
  }
}
