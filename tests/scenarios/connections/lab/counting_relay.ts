/** A UNIX socket that leads to another one, and counts what its clients send. */
export class CountingRelay implements Disposable {
  /** Bytes that clients have sent. */
  bytes = 0;
  readonly #listener: Deno.UnixListener;
  readonly #to: string;
  readonly #conns = new Set<Deno.Conn>();

  constructor(path: string, to: string) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#to = to;
    this.#accept().catch(() => {});
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ transport: "unix", path: this.#to });
      for (const conn of [client, server]) this.#conns.add(conn);
      this.#pass(client, server, (bytes) => this.bytes += bytes);
      this.#pass(server, client, () => {});
    }
  }

  /** Either end that closes ends both. */
  async #pass(from: Deno.Conn, to: Deno.Conn, count: (bytes: number) => void): Promise<void> {
    const buffer = new Uint8Array(256 * 1024);
    try {
      for (let n; (n = await from.read(buffer)) !== null;) {
        for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
        count(n);
      }
    } catch {
      // One of them was closed.
    }
    for (const conn of [from, to]) this.#close(conn);
  }

  #close(conn: Deno.Conn): void {
    if (this.#conns.delete(conn)) conn.close();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const conn of this.#conns) this.#close(conn);
  }
}
