/** A UNIX socket that leads to another one; its connections can be held back and cut. */
export class UnixRelay implements Disposable {
  readonly #listener: Deno.Listener<Deno.UnixConn>;
  readonly #to: string;
  readonly #conns = new Set<Deno.Conn>();
  #held: PromiseWithResolvers<void> | undefined;

  constructor(path: string, to: string) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#to = to;
    this.#accept().catch(() => {});
  }

  /** What the client sends from now on does not arrive. */
  hold(): void {
    this.#held = Promise.withResolvers();
  }

  /** Closes every connection; what is held back never arrives. */
  cut(): void {
    for (const conn of this.#conns) this.#close(conn);
    this.#held?.resolve();
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ transport: "unix", path: this.#to });
      for (const conn of [client, server]) this.#conns.add(conn);
      this.#pass(client, server, () => this.#held?.promise);
      this.#pass(server, client, () => undefined);
    }
  }

  /** Either end that closes ends both. */
  async #pass(
    from: Deno.Conn,
    to: Deno.Conn,
    held: () => Promise<void> | undefined,
  ): Promise<void> {
    const buffer = new Uint8Array(32 * 1024);
    try {
      for (let n; (n = await from.read(buffer)) !== null;) {
        await held();
        for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
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
    this.cut();
  }
}
