import type { Acceptor, BytePipe } from "../io/mod.ts";
import { TransportError } from "./errors.ts";
import { acceptFrom, dialled } from "./accept.ts";

/**
 * Connects to a UNIX socket.
 *
 * @throws {Error} naming the path and why: no such file, no permission, no socket, nobody listening.
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
 * @throws {Error} naming the path, when it can't be had.
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
        // Removed by somebody else, with the whole folder perhaps.
      }
    },
  });
}

/** What is no socket refuses connections like one that nobody listens on. */
async function whatElse(path: string, error: unknown): Promise<string | undefined> {
  if (!(error instanceof Deno.errors.ConnectionRefused)) return undefined;
  const info = await Deno.stat(path).catch(() => undefined);
  if (!info || info.isSocket) return undefined;
  return `it is a ${info.isDirectory ? "folder" : "file"} and no socket`;
}

/** Deno keeps programs with narrow permissions out of the kernel's own file systems. */
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
