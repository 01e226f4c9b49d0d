import { startLine } from "../../../tools/bench/line/line.ts";
import type { Scenario } from "../support/scenario.ts";

const RTT_MS = 40;
const MBIT = 80;
const BYTES = 4 << 20;
/** How much the relay lets a sender catch up after it was not scheduled, ms. */
const LATE_MS = 20;
/** How much longer than that a busy machine may take. */
const PATIENCE = 25;

/** The benchmark's long path must have the round trip and rate that its figures rely on. */
export const scenario: Scenario = {
  name: "bench_link",
  about: "the benchmark's long path has its round trip, keeps its rate and changes no byte",
  timeoutMs: 60_000,
  async run() {
    await using line = await startLine(RTT_MS, MBIT);
    using echo = Deno.listen({ hostname: "127.0.0.1", port: line.far });
    using here = await Deno.connect({ hostname: "127.0.0.1", port: line.near });
    using there = await echo.accept();
    const roundTrip = await measured(async () => {
      await here.write(new Uint8Array(1));
      await there.read(new Uint8Array(1));
      await there.write(new Uint8Array(1));
      await here.read(new Uint8Array(1));
    });
    expectBetween("the round trip, ms", roundTrip, RTT_MS - 2, RTT_MS * PATIENCE);

    const sent = crypto.getRandomValues(new Uint8Array(65_536));
    const least = BYTES * 8 / (MBIT * 1e3) + RTT_MS / 2 - LATE_MS;
    const took = await measured(async () => {
      const sending = (async () => {
        for (let done = 0; done < BYTES; done += sent.length) {
          for (let n = 0; n < sent.length;) n += await here.write(sent.subarray(n));
        }
        await here.closeWrite();
      })();
      await expectRepeated(there, sent);
      await sending;
    });
    expectBetween("4 MiB, ms", took, least - 2, least * PATIENCE);
    return `${roundTrip.toFixed(0)} ms round trip, 4 MiB in ${took.toFixed(0)} ms`;
  },
};

async function measured(run: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Reads to the end: `BYTES` bytes, which are `sent` over and over. */
async function expectRepeated(from: Deno.Conn, sent: Uint8Array): Promise<void> {
  const buffer = new Uint8Array(65_536);
  let got = 0;
  for (let n; (n = await from.read(buffer)) !== null; got += n) {
    for (let i = 0; i < n; i++) {
      if (buffer[i] !== sent[(got + i) % sent.length]) {
        throw new Error(
          `Byte ${got + i} is ${buffer[i]}, sent was ${sent[(got + i) % sent.length]}`,
        );
      }
    }
  }
  if (got !== BYTES) throw new Error(`Got ${got} bytes, sent were ${BYTES}`);
}

function expectBetween(what: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new Error(
    `${what}: ${value.toFixed(1)}, expected ${least.toFixed(1)} to ${most.toFixed(1)}`,
  );
}
