import type { BytePipe } from "../../io/mod.ts";
import { TlsError, type TlsProof } from "../tls/words.ts";

interface Options {
  /** The peer, for messages: `127.0.0.1:7450`. */
  readonly who: string;
  readonly proof: TlsProof;
  readonly delaysSmallWrites: boolean;
}

/** The plain text of one TLS record (RFC 8446 section 5.1), the most that one read brings, bytes. */
const RECORD = 16 * 1024;

/**
 * A TLS connection as a pipe, which owns it. The first read does the handshake, if it is still due.
 */
export function tlsPipe(conn: Deno.TlsConn, options: Options): BytePipe {
  let closed = false;
  // In TLS 1.3 a client learns by its first read that the server rejects its certificate.
  let accepted = false;
  const firstRead = async (into: Uint8Array) => {
    try {
      await conn.handshake();
      const n = await conn.read(into);
      accepted = true;
      return n;
    } catch (error) {
      throw closed ? error : new TlsError(error, options.proof, options.who);
    }
  };
  return {
    delaysSmallWrites: options.delaysSmallWrites,
    recordBytes: RECORD,
    // Without a wrapper: no further promise for each record.
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
 * Starts TLS on a TCP connection, which this function owns from then on.
 *
 * @throws {TlsError} when the handshake fails.
 */
export async function startTls(
  tcp: Deno.TcpConn,
  tls: Deno.StartTlsOptions,
  options: Omit<Options, "delaysSmallWrites">,
  signal: AbortSignal | undefined,
): Promise<BytePipe> {
  // `startTls` owns the TCP connection at once; the handshake follows.
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
    throw signal?.aborted ? signal.reason : new TlsError(error, options.proof, options.who);
  } finally {
    signal?.removeEventListener("abort", close);
  }
}
