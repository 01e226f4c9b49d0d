import type { Acceptor, BytePipe } from "../io/mod.ts";
import { TransportError } from "./errors.ts";
import { bracketed } from "./host.ts";

interface Options {
  /** Called with each connection before it is handed out. */
  readonly prepare?: (conn: Deno.Conn) => void;
  /** Makes what is handed out of a connection; default: the connection itself. */
  readonly wrap?: (conn: Deno.Conn) => BytePipe;
  /** Called once when the acceptor is closed. */
  readonly cleanUp?: () => void;
}

/** Makes an acceptor of a listener, which it owns from now on. */
export function acceptFrom(
  listener: Deno.Listener<Deno.Conn>,
  address: string,
  options: Options,
): Acceptor {
  let closed = false;
  return {
    address,
    async accept() {
      while (!closed) {
        try {
          const conn = await listener.accept();
          options.prepare?.(conn);
          const pipe = options.wrap?.(conn) ?? quietClose(conn);
          return Object.assign(pipe, peerOf(conn));
        } catch (error) {
          if (closed || error instanceof Deno.errors.BadResource) return undefined;
          // A peer that hung up at once, or no file descriptor is left: keep accepting.
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
      return undefined;
    },
    close() {
      if (closed) return;
      closed = true;
      listener.close();
      options.cleanUp?.();
    },
  };
}

function peerOf({ remoteAddr }: Deno.Conn): { peer?: string } {
  if (remoteAddr.transport !== "tcp") return {};
  return { peer: `${bracketed(remoteAddr.hostname)}:${remoteAddr.port}` };
}

/** Waits for a connection; gives it back if the signal was aborted meanwhile. */
export async function dialled<T extends Deno.Conn>(
  address: string,
  connecting: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  let conn: T;
  try {
    conn = await connecting;
  } catch (error) {
    const message = `Can't connect to ${address}: ${(error as Error).message}`;
    throw new TransportError(message, { cause: error });
  }
  if (signal?.aborted) {
    conn.close();
    throw signal.reason;
  }
  return quietClose(conn);
}

/** Makes a second `close` harmless, as `BytePipe` promises. */
function quietClose<T extends Deno.Conn>(conn: T): T & BytePipe {
  const close = conn.close.bind(conn);
  let closed = false;
  conn.close = () => {
    if (closed) return;
    closed = true;
    close();
  };
  return conn;
}
