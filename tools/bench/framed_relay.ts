/**
 * What frames and acknowledgements alone cost: the plain relay, with a header before each read's bytes,
 * one read ahead of each write, and a word back every 512 KiB. No streams, no windows, nothing is kept.
 *
 *     framed_relay.ts connect UNIX PORT [US] | listen PORT UNIX [US]
 *
 * With US both ends waste so many microseconds on each frame, which shows what a rate makes of them.
 *
 * @module
 */
const [mode, a = "", b = "", us = "0"] = Deno.args;
const HEADER = 12;
const PAYLOAD = 256 * 1024;
const READ = 1 << 20;
const ACK_EVERY = 512 * 1024;
/** Lengths that are none. */
const END = 0;
const ACK = 0xffff_ffff;
/** Frames that may wait for the local socket. */
const MOST_WAITING = 6;

const hostname = "127.0.0.1";
const wasteMs = Number(us) / 1000;

function waste(): void {
  if (wasteMs === 0) return;
  for (const end = performance.now() + wasteMs; performance.now() < end;);
}

/** Writes to a socket, one whole buffer after another. */
class Writer {
  readonly #conn: Deno.Conn;
  #last: Promise<void> = Promise.resolve();
  waiting = 0;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.waiting++;
    return this.#last = this.#last.then(() => this.#write(bytes));
  }

  get idle(): Promise<void> {
    return this.#last;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += await this.#conn.write(done === 0 ? bytes : bytes.subarray(done));
    }
    this.waiting--;
  }
}

function headed(buffer: Uint8Array, length: number, payload: number): Uint8Array {
  new DataView(buffer.buffer).setUint32(0, length);
  return buffer.subarray(0, HEADER + payload);
}

async function send(local: Deno.Conn, remote: Writer): Promise<void> {
  const buffers = [0, 1, 2].map(() => new Uint8Array(HEADER + PAYLOAD));
  let written = Promise.resolve();
  for (let i = 0;; i++) {
    const buffer = buffers[i % buffers.length]!;
    const n = await local.read(buffer.subarray(HEADER));
    await written;
    if (n === null) return await remote.write(headed(buffer, END, 0));
    waste();
    written = remote.write(headed(buffer, n, n));
  }
}

async function receive(remote: Deno.Conn, local: Deno.Conn, back: Writer): Promise<void> {
  const buffers = Array.from({ length: MOST_WAITING + 2 }, () => new Uint8Array(READ));
  const out = new Writer(local);
  const header = new Uint8Array(HEADER);
  let [got, left, unacked] = [0, 0, 0];
  for (let i = 0;; i++) {
    const buffer = buffers[i % buffers.length]!;
    while (out.waiting >= MOST_WAITING) await out.idle;
    const n = await remote.read(buffer);
    if (n === null) throw new Error("The other end is gone");
    for (let at = 0; at < n;) {
      if (left > 0) {
        const length = Math.min(left, n - at);
        waste();
        out.write(buffer.subarray(at, at + length));
        [at, left, unacked] = [at + length, left - length, unacked + length];
        continue;
      }
      while (got < HEADER && at < n) header[got++] = buffer[at++]!;
      if (got < HEADER) break;
      got = 0;
      const length = new DataView(header.buffer).getUint32(0);
      if (length === END) {
        await out.idle;
        return await local.closeWrite();
      }
      if (length !== ACK) left = length;
    }
    if (unacked >= ACK_EVERY) {
      unacked = 0;
      back.write(headed(new Uint8Array(HEADER), ACK, 0));
    }
  }
}

function listen(): Deno.Listener {
  if (mode === "connect") return Deno.listen({ transport: "unix", path: a });
  return Deno.listen({ hostname, port: Number(a) });
}

async function connect(): Promise<Deno.Conn> {
  if (mode === "listen") return await Deno.connect({ transport: "unix", path: b });
  return await Deno.connect({ hostname, port: Number(b) });
}

for await (const taken of listen()) {
  (async () => {
    using made = await connect();
    const [local, remote] = mode === "connect" ? [taken, made] : [made, taken];
    (remote as Deno.TcpConn).setNoDelay(true);
    const writer = new Writer(remote);
    await Promise.all([send(local, writer), receive(remote, local, writer)]);
  })().catch(() => {}).finally(() => taken.close());
}
