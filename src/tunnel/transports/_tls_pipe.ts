import type { BytePipe } from "../../io/mod.ts";
import { ReadAhead } from "./read_ahead.ts";
import { tlsError, type TlsProof } from "./tls_words.ts";

interface Options {
  /** Whom it is with, for error texts. */
  readonly who: string;
  readonly proof: TlsProof;
  readonly delaysSmallWrites: boolean;
}

/**
 * A TLS connection as a pipe, which owns it. A handshake that is still due is done with the first
 * read.
 */
export function tlsPipe(conn: Deno.TlsConn, options: Options): BytePipe {
  const ahead = new ReadAhead(conn);
  let closed = false;
  // With TLS 1.3 a client learns only by its first read that its certificate was turned away.
  let accepted = false;
  return {
    delaysSmallWrites: options.delaysSmallWrites,
    async read(into) {
      if (accepted) return await ahead.read(into);
      try {
        await conn.handshake();
        const n = await ahead.read(into);
        accepted = true;
        return n;
      } catch (error) {
        throw closed ? error : tlsError(error, options.proof, options.who);
      }
    },
    write: (from) => conn.write(from),
    closeWrite: () => conn.closeWrite(),
    close() {
      if (closed) return;
      closed = true;
      conn.close();
    },
  };
}

/**
 * Goes over to TLS on a TCP connection, which is this function's from then on.
 *
 * @throws {Error} in words, when the other end can't prove itself or does not speak TLS.
 */
export async function startTls(
  tcp: Deno.TcpConn,
  tls: Deno.StartTlsOptions,
  options: Omit<Options, "delaysSmallWrites">,
  signal: AbortSignal | undefined,
): Promise<BytePipe> {
  // It takes the connection over at once, the handshake comes after.
  const conn = await Deno.startTls(tcp, tls);
  const pipe = tlsPipe(conn, { ...options, delaysSmallWrites: false });
  const close = () => pipe.close();
  signal?.addEventListener("abort", close, { once: true });
  try {
    signal?.throwIfAborted();
    await conn.handshake();
    return pipe;
  } catch (error) {
    close();
    throw signal?.aborted ? signal.reason : tlsError(error, options.proof, options.who);
  } finally {
    signal?.removeEventListener("abort", close);
  }
}
