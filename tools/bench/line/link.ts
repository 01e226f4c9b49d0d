/**
 * A long link for the benchmarks: what goes in comes out after half a round trip, no faster than a
 * rate. `link.ts PORT TARGET-PORT RTT-MS MBIT-PER-S [QUEUE-KIB]`.
 *
 * Like a router in front of a line: bytes leave its queue at the rate, are on the line for half a round
 * trip, then arrive. The queue has a bound; while it is full nothing is read, and TCP holds the sender
 * back. Nothing is lost and no window has to grow, so this is a link as a well tuned TCP leaves it.
 *
 * @module
 */
const [port, target, rttMs, mbit, queueKiB = "1024"] = Deno.args.map(Number);

const RATE = mbit! * 1e6 / 8 / 1000; // bytes per ms
const HALF_MS = rttMs! / 2;
const QUEUE_MS = Number(queueKiB) * 1024 / RATE;
const CHUNK = 256 * 1024;
const LATE_MS = 20;

/** Bytes on their way, and when the last of them arrives, ms. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly arrives: number;
}

async function carry(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const line: Chunk[] = [];
  const spare: Uint8Array[] = [];
  let ended = false;
  let wake = () => {};
  /** When the line has taken all that was read so far. */
  let free = 0;
  const read = async () => {
    while (true) {
      const now = performance.now();
      if (free - now > QUEUE_MS) await sleep(free - now - QUEUE_MS);
      const buffer = spare.pop() ?? new Uint8Array(CHUNK);
      // No more at a time than the line takes in some ms: what arrives should come in small pieces too.
      const n = await from.read(buffer.subarray(0, Math.max(1500, Math.min(CHUNK, RATE * 2))));
      if (n === null) break;
      // A process that was kept from its processor reads late; the line has not stood idle for that.
      const came = performance.now();
      free = Math.max(came - LATE_MS, free) + n / RATE;
      line.push({ bytes: buffer.subarray(0, n), arrives: Math.max(came, free) + HALF_MS });
      wake();
    }
    ended = true;
    wake();
  };
  const write = async () => {
    while (true) {
      const chunk = line.shift();
      if (!chunk) {
        if (ended) break;
        await new Promise<void>((resolve) => wake = resolve);
        continue;
      }
      const wait = chunk.arrives - performance.now();
      if (wait > 0) await sleep(wait);
      for (let done = 0; done < chunk.bytes.length;) {
        done += await to.write(chunk.bytes.subarray(done));
      }
      if (spare.length < 64) spare.push(new Uint8Array(chunk.bytes.buffer as ArrayBuffer));
    }
    await to.closeWrite();
  };
  await Promise.all([read(), write()]);
}

/** Timers are a ms late at times; what is due earlier than that goes at once. */
function sleep(ms: number): Promise<void> {
  return ms < 0.5 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}

for await (const near of Deno.listen({ hostname: "127.0.0.1", port: port! })) {
  (async () => {
    const far = await Deno.connect({ hostname: "127.0.0.1", port: target! });
    near.setNoDelay(true);
    far.setNoDelay(true);
    try {
      await Promise.all([carry(near, far), carry(far, near)]);
    } finally {
      far.close();
    }
  })().catch(() => {}).finally(() => near.close());
}
