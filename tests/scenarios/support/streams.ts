/**
 * Servers and clients of UNIX sockets for what is carried between them.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type BytePipe, writeAll } from "../../../src/io/mod.ts";
import { connectUnix } from "../../../src/transport/mod.ts";

const CHUNK = 1 << 20;

/** Sends everything back, and its end after the other's end. */
export function echoServer(path: string): Disposable {
  return server(path, async (pipe) => {
    const buffer = new Uint8Array(256 * 1024);
    for (let n; (n = await pipe.read(buffer)) !== null;) {
      await writeAll(pipe, buffer.subarray(0, n));
    }
    await pipe.closeWrite();
    // Hanging up first would reset a peer that still has something to send.
    await pipe.read(buffer);
  });
}

/** Reads nothing until it gets the order, then everything; answers with the number of bytes. */
export function stallingServer(path: string, go: Promise<void>): Disposable {
  return server(path, async (pipe) => {
    await go;
    const buffer = new Uint8Array(256 * 1024);
    let total = 0;
    for (let n; (n = await pipe.read(buffer)) !== null;) total += n;
    await writeAll(pipe, new TextEncoder().encode(String(total)));
    await pipe.closeWrite();
    await pipe.read(buffer);
  });
}

function server(path: string, serve: (pipe: BytePipe) => Promise<void>): Disposable {
  const listener = Deno.listen({ transport: "unix", path });
  const open = new Set<Deno.Conn>();
  (async () => {
    for await (const conn of listener) {
      open.add(conn);
      // Failures show at the client, which knows what it expected.
      serve(conn).catch(() => {}).finally(() => {
        open.delete(conn);
        conn.close();
      });
    }
  })().catch(() => {});
  return {
    [Symbol.dispose]() {
      listener.close();
      for (const conn of open) conn.close();
    },
  };
}

/**
 * Sends `bytes` bytes to an echo server at `path`, half-closes, and compares what comes back by its
 * hash.
 *
 * @throws {Error} when it is not the same, or does not end after its last byte.
 */
export async function echoHash(path: string, bytes: number, seed: number): Promise<void> {
  const pipe = await connectUnix(path);
  try {
    const sent = createHash("sha256");
    const send = async () => {
      const chunk = randomChunk(seed);
      for (let left = bytes; left > 0;) {
        const piece = chunk.subarray(0, Math.min(left, chunk.length));
        // No two chunks are the same: a swap or a repeat would show.
        new DataView(chunk.buffer).setFloat64(0, left);
        sent.update(piece);
        await writeAll(pipe, piece);
        left -= piece.length;
      }
      await pipe.closeWrite();
    };
    const received = createHash("sha256");
    let total = 0;
    const receive = async () => {
      const buffer = new Uint8Array(256 * 1024);
      for (let n; (n = await pipe.read(buffer)) !== null; total += n) {
        received.update(buffer.subarray(0, n));
      }
    };
    await Promise.all([send(), receive()]);
    if (total !== bytes) throw new Error(`${total} of ${bytes} bytes came back`);
    if (sent.digest("hex") !== received.digest("hex")) throw new Error("Other bytes came back");
  } finally {
    pipe.close();
  }
}

/** How long round trips took, ms. */
export interface RoundTrips {
  readonly median: number;
  readonly longest: number;
}

/** Makes round trips of a few bytes until `until` resolves. */
export async function roundTrips(path: string, until: Promise<void>): Promise<RoundTrips> {
  const pipe = await connectUnix(path);
  let over = false;
  until.then(() => over = true);
  const took: number[] = [];
  const word = new TextEncoder().encode("ping");
  const answer = new Uint8Array(word.length);
  while (!over) {
    const start = performance.now();
    await writeAll(pipe, word);
    for (let got = 0; got < word.length;) {
      const n = await pipe.read(answer.subarray(got));
      if (n === null) throw new Error("The echo ended");
      got += n;
    }
    took.push(performance.now() - start);
  }
  await pipe.closeWrite();
  if (await pipe.read(answer) !== null) throw new Error("More came back than was sent");
  pipe.close();
  took.sort((a, b) => a - b);
  return { median: took[took.length >> 1]!, longest: took.at(-1)! };
}

function randomChunk(seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(CHUNK / 4);
  let x = seed * 2654435761 >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x >>> 0;
  }
  return new Uint8Array(words.buffer);
}
