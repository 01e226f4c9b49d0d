import { delay, systemClock } from "../../../src/io/mod.ts";

/** A TCP port on loopback that leads to another one; what its clients send passes slowly. */
export class SlowRelay implements Disposable {
  readonly #listener: Deno.TcpListener;
  readonly #to: number;
  readonly #bytesPerSecond: number;
  readonly #conns = new Set<Deno.Conn>();

  constructor(to: number, bytesPerSecond: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#to = to;
    this.#bytesPerSecond = bytesPerSecond;
    this.#accept().catch(() => {});
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#to });
      for (const conn of [client, server]) this.#conns.add(conn);
      this.#pass(client, server, this.#bytesPerSecond);
      this.#pass(server, client, Infinity);
    }
  }

  /** Either end that closes ends both. */
  async #pass(from: Deno.Conn, to: Deno.Conn, bytesPerSecond: number): Promise<void> {
    const buffer = new Uint8Array(32 * 1024);
    try {
      for (let n; (n = await from.read(buffer)) !== null;) {
        for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
        if (bytesPerSecond < Infinity) await delay(systemClock, n / bytesPerSecond * 1000);
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
