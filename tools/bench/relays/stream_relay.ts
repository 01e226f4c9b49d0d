/**
 * Little more than what a tunnel of several streams needs to outlive its connection: the framed relay, with
 * one connection for all streams, a stream's number in each header, a window for each stream (credit after
 * every half of it), and a reader that waits for no stream. No RPC, no limits, no compression, no checks, and
 * nothing is ever sent again.
 *
 *     stream_relay.ts connect UNIX PORT | listen PORT UNIX
 *
 * @module
 */
const [mode, a = "", b = ""] = Deno.args;
const HEADER = 12;
const PAYLOAD = 256 * 1024;
const READ = 1 << 20;
/** A read with less room than this is not worth it. */
const MIN_READ = PAYLOAD;
const ACK_EVERY = 512 * 1024;
/** Bytes that are sent and not acknowledged, at most. */
const MOST_KEPT = 2 << 20;
const WINDOW = 4 << 20;
const FRAMES_AHEAD = 2;
/** Types of frames. */
const [DATA, END, ACK, CREDIT, OPEN] = [0, 1, 2, 3, 4];

const hostname = "127.0.0.1";

/** A buffer that the connection is read into; free again once every piece of it is written. */
class ReadBuffer {
  readonly bytes = new Uint8Array(READ);
  used = 0;
  uses = 1;
}

interface Frame {
  readonly buffer: Uint8Array;
  readonly length: number;
}

/** One socket that is relayed. */
class Stream {
  readonly #tunnel: Tunnel;
  readonly #conn: Deno.Conn;
  readonly id: number;
  readonly frames: Frame[] = [];
  #wake = () => {};
  #limit = WINDOW;
  #sent = 0;
  /** What came and is not written; `null`: the end. */
  readonly #pieces: ({ bytes: Uint8Array; buffer: ReadBuffer } | null)[] = [];
  #done = 0;
  #busy = false;
  #consumed = 0;
  #granted = WINDOW;
  #ends = 0;

  constructor(tunnel: Tunnel, conn: Deno.Conn, id: number) {
    [this.#tunnel, this.#conn, this.id] = [tunnel, conn, id];
    this.#send();
  }

  async #send(): Promise<void> {
    while (true) {
      while (this.frames.length >= FRAMES_AHEAD || this.#sent >= this.#limit) {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      const buffer = this.#tunnel.free.pop() ?? new Uint8Array(HEADER + PAYLOAD);
      const most = Math.min(PAYLOAD, this.#limit - this.#sent);
      const n = await this.#conn.read(buffer.subarray(HEADER, HEADER + most));
      putHeader(buffer, n === null ? END : DATA, this.id, n ?? 0);
      this.#sent += n ?? 0;
      this.frames.push({ buffer, length: n ?? 0 });
      this.#tunnel.ready(this);
      if (n === null) return this.#over();
    }
  }

  sent(): void {
    this.#wake();
  }

  credited(limit: number): void {
    this.#limit = limit;
    this.#wake();
  }

  received(bytes: Uint8Array, buffer: ReadBuffer): void {
    const last = this.#pieces.at(-1);
    if (last && last.buffer === buffer && this.#pieces.length > 1) {
      const end = last.bytes.byteOffset + last.bytes.length;
      if (end === bytes.byteOffset) {
        const from = last.bytes.byteOffset;
        const whole = new Uint8Array(bytes.buffer, from, end - from + bytes.length);
        this.#pieces[this.#pieces.length - 1] = { bytes: whole, buffer };
        return;
      }
    }
    buffer.uses++;
    this.#pieces.push({ bytes, buffer });
    this.#pump();
  }

  ended(): void {
    this.#pieces.push(null);
    this.#pump();
  }

  #pump(): void {
    if (this.#busy || this.#pieces.length === 0) return;
    this.#busy = true;
    const piece = this.#pieces[0];
    if (!piece) {
      this.#conn.closeWrite().then(() => this.#over());
      return;
    }
    this.#done = 0;
    this.#conn.write(piece.bytes).then(this.#written);
  }

  readonly #written = (n: number): void => {
    const { bytes, buffer } = this.#pieces[0]!;
    this.#done += n;
    if (this.#done < bytes.length) {
      this.#conn.write(bytes.subarray(this.#done)).then(this.#written);
      return;
    }
    this.#pieces.shift();
    this.#tunnel.release(buffer);
    this.#consumed += bytes.length;
    if (this.#granted - this.#consumed <= WINDOW / 2) {
      this.#granted = this.#consumed + WINDOW;
      this.#tunnel.control(CREDIT, this.id, this.#granted);
    }
    this.#busy = false;
    this.#pump();
  };

  #over(): void {
    if (++this.#ends === 2) this.#conn.close();
  }
}

/** Makes the socket of a stream that the other end has opened. */
type OpenStream = (tunnel: Tunnel, id: number) => Promise<Stream>;

/** The connection and its streams. */
class Tunnel {
  readonly #conn: Deno.Conn;
  readonly #open: OpenStream;
  readonly #streams = new Map<number, Stream>();
  readonly free: Uint8Array[] = [];
  readonly #ready: Stream[] = [];
  readonly #controls: Uint8Array[] = [];
  readonly #kept: { buffer: Uint8Array; end: number }[] = [];
  #end = 0;
  #acked = 0;
  #received = 0;
  #ackSent = 0;
  #wake = () => {};
  readonly #buffers: ReadBuffer[] = [];

  constructor(conn: Deno.Conn, open: OpenStream) {
    [this.#conn, this.#open] = [conn, open];
    this.#write();
    this.#read();
  }

  add(stream: Stream): void {
    this.#streams.set(stream.id, stream);
  }

  ready(stream: Stream): void {
    this.#ready.push(stream);
    this.#wake();
  }

  control(type: number, id: number, value: number): void {
    const frame = new Uint8Array(HEADER + 8);
    putHeader(frame, type, id, 8);
    new DataView(frame.buffer).setFloat64(HEADER, value);
    this.#controls.push(frame);
    this.#wake();
  }

  release(buffer: ReadBuffer): void {
    if (--buffer.uses === 0) this.#buffers.push(buffer);
  }

  async #write(): Promise<void> {
    while (true) {
      const bytes = this.#next();
      if (!bytes) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      for (let done = 0; done < bytes.length;) {
        done += await this.#conn.write(done === 0 ? bytes : bytes.subarray(done));
      }
    }
  }

  #next(): Uint8Array | undefined {
    const control = this.#controls.shift();
    if (control) return control;
    if (this.#end - this.#acked >= MOST_KEPT) return undefined;
    const stream = this.#ready.shift();
    if (!stream) return undefined;
    const { buffer, length } = stream.frames.shift()!;
    stream.sent();
    this.#kept.push({ buffer, end: this.#end += length });
    return buffer.subarray(0, HEADER + length);
  }

  async #read(): Promise<void> {
    const header = new Uint8Array(HEADER + 8);
    const view = new DataView(header.buffer);
    let buffer = new ReadBuffer();
    let [got, left] = [0, 0];
    let target: Stream | undefined;
    while (true) {
      if (buffer.uses === 1) buffer.used = 0;
      if (READ - buffer.used < MIN_READ) {
        this.release(buffer);
        buffer = this.#buffers.pop() ?? new ReadBuffer();
        [buffer.used, buffer.uses] = [0, 1];
      }
      const at0 = buffer.used;
      const n = await this.#conn.read(at0 === 0 ? buffer.bytes : buffer.bytes.subarray(at0));
      if (n === null) return;
      buffer.used += n;
      for (let at = at0; at < at0 + n;) {
        if (left > 0) {
          const length = Math.min(left, at0 + n - at);
          target!.received(buffer.bytes.subarray(at, at + length), buffer);
          [at, left] = [at + length, left - length];
          this.#count(length);
          continue;
        }
        while (got < HEADER && at < at0 + n) header[got++] = buffer.bytes[at++]!;
        if (got < HEADER) break;
        const [type, id, length] = [header[0], view.getUint32(4), view.getUint32(8)];
        if (type === DATA || type === END) {
          got = 0;
          left = length;
          target = this.#streams.get(id)!;
          if (type === END) target.ended();
          continue;
        }
        while (got < HEADER + 8 && at < at0 + n) header[got++] = buffer.bytes[at++]!;
        if (got < HEADER + 8) break;
        got = 0;
        const value = view.getFloat64(HEADER);
        if (type === ACK) this.#ackedUpTo(value);
        else if (type === OPEN) this.add(await this.#open(this, id));
        else this.#streams.get(id)!.credited(value);
      }
    }
  }

  #count(length: number): void {
    this.#received += length;
    if (this.#received - this.#ackSent < ACK_EVERY) return;
    this.#ackSent = this.#received;
    this.control(ACK, 0, this.#received);
  }

  #ackedUpTo(end: number): void {
    this.#acked = end;
    while (this.#kept.length > 0 && this.#kept[0]!.end <= end) {
      this.free.push(this.#kept.shift()!.buffer);
    }
    this.#wake();
  }
}

function putHeader(frame: Uint8Array, type: number, id: number, length: number): void {
  const view = new DataView(frame.buffer);
  frame[0] = type;
  view.setUint32(4, id);
  view.setUint32(8, length);
}

if (mode === "connect") {
  const conn = await Deno.connect({ hostname, port: Number(b) });
  conn.setNoDelay(true);
  const tunnel = new Tunnel(conn, () => Promise.reject(new Error("It opens no streams")));
  let id = 0;
  for await (const local of Deno.listen({ transport: "unix", path: a })) {
    tunnel.control(OPEN, ++id, 0);
    tunnel.add(new Stream(tunnel, local, id));
  }
} else {
  for await (const conn of Deno.listen({ hostname, port: Number(a) })) {
    conn.setNoDelay(true);
    new Tunnel(conn, async (tunnel, id) => {
      return new Stream(tunnel, await Deno.connect({ transport: "unix", path: b }), id);
    });
  }
}
