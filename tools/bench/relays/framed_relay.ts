/**
 * The least that a tunnel which outlives its connection has to do: the plain relay, with a header before
 * each read's bytes, one read ahead of each write, an acknowledgement every 512 KiB, and the sent bytes are
 * kept until it comes, 2 MiB at most. No streams, no windows, and nothing is ever sent again.
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
/** Bytes that are sent and not acknowledged, at most. */
const MOST_KEPT = 2 << 20;
/** While the bytes of one are written, the next one is filled. */
const READ_BUFFERS = 2;

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

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#last = this.#last.then(() => this.#write(bytes));
  }

  get idle(): Promise<void> {
    return this.#last;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += await this.#conn.write(done === 0 ? bytes : bytes.subarray(done));
    }
  }
}

/** The buffers of frames: one is free again once the other end has its frame. */
class Kept {
  readonly #free: Uint8Array[] = [];
  readonly #sent: { buffer: Uint8Array; end: number }[] = [];
  #end = 0;
  #acked = 0;
  #wake = () => {};

  async take(): Promise<Uint8Array> {
    while (this.#end - this.#acked >= MOST_KEPT) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#free.pop() ?? new Uint8Array(HEADER + PAYLOAD);
  }

  sent(buffer: Uint8Array, payload: number): void {
    this.#sent.push({ buffer, end: this.#end += payload });
  }

  acked(payload: number): void {
    this.#acked = payload;
    while (this.#sent.length > 0 && this.#sent[0]!.end <= payload) {
      this.#free.push(this.#sent.shift()!.buffer);
    }
    this.#wake();
  }
}

/** `length`, or ACK and how many bytes of payload came, before what follows in the buffer. */
function headed(buffer: Uint8Array, length: number, payload: number, acked = 0): Uint8Array {
  const view = new DataView(buffer.buffer);
  view.setUint32(0, length);
  view.setFloat64(4, acked);
  return buffer.subarray(0, HEADER + payload);
}

async function send(local: Deno.Conn, remote: Writer, kept: Kept): Promise<void> {
  let written = Promise.resolve();
  while (true) {
    const buffer = await kept.take();
    const n = await local.read(buffer.subarray(HEADER));
    await written;
    if (n === null) return await remote.write(headed(buffer, END, 0));
    waste();
    kept.sent(buffer, n);
    written = remote.write(headed(buffer, n, n));
  }
}

async function receive(
  remote: Deno.Conn,
  local: Deno.Conn,
  back: Writer,
  kept: Kept,
): Promise<void> {
  const buffers = Array.from({ length: READ_BUFFERS }, () => new Uint8Array(READ));
  const written = buffers.map(() => Promise.resolve());
  const out = new Writer(local);
  const header = new Uint8Array(HEADER);
  let [got, left, whole, acked] = [0, 0, 0, 0];
  for (let i = 0;; i++) {
    const buffer = buffers[i % READ_BUFFERS]!;
    await written[i % READ_BUFFERS];
    const n = await remote.read(buffer);
    if (n === null) throw new Error("The other end is gone");
    for (let at = 0; at < n;) {
      if (left > 0) {
        const length = Math.min(left, n - at);
        waste();
        out.write(buffer.subarray(at, at + length));
        [at, left, whole] = [at + length, left - length, whole + length];
        continue;
      }
      while (got < HEADER && at < n) header[got++] = buffer[at++]!;
      if (got < HEADER) break;
      got = 0;
      const view = new DataView(header.buffer);
      const length = view.getUint32(0);
      if (length === END) {
        await out.idle;
        return await local.closeWrite();
      }
      if (length === ACK) kept.acked(view.getFloat64(4));
      else left = length;
    }
    written[i % READ_BUFFERS] = out.idle;
    if (whole - acked >= ACK_EVERY) {
      acked = whole;
      back.write(headed(new Uint8Array(HEADER), ACK, 0, acked));
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
    const kept = new Kept();
    await Promise.all([send(local, writer, kept), receive(remote, local, writer, kept)]);
  })().catch(() => {}).finally(() => taken.close());
}
