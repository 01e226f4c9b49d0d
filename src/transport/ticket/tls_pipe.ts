import type { BytePipe } from "../../io/mod.ts";
import { tlsError, type TlsProof } from "../tls/words.ts";

interface Options {
  /** Whom it is with, for error texts. */
  readonly who: string;
  readonly proof: TlsProof;
  readonly delaysSmallWrites: boolean;
}

/** The plain text of one record, which is what one read of Deno's TLS brings at most, bytes. */
const RECORD = 16 * 1024;

/**
 * A TLS connection as a pipe, which owns it. A handshake that is still due is done with the first
 * read.
 */
export function tlsPipe(conn: Deno.TlsConn, options: Options): BytePipe {
  let closed = false;
  // With TLS 1.3 a client learns only by its first read that its certificate was turned away.
  let accepted = false;
  const firstRead = async (into: Uint8Array) => {
    try {
      await conn.handshake();
      const n = await conn.read(into);
      accepted = true;
      return n;
    } catch (error) {
      throw closed ? error : tlsError(error, options.proof, options.who);
    }
  };
  return {
    delaysSmallWrites: options.delaysSmallWrites,
    recordBytes: RECORD,
    // No promise of its own for each record.
    read: (into) => accepted ? conn.read(into) : firstRead(into),
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
