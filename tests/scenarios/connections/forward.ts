import { writeAll } from "../../../src/io/mod.ts";
import { connectUnix } from "../../../src/transport/mod.ts";
import { filesIn, peakMemoryMiB } from "../support/host.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import {
  echoHash,
  echoServer,
  type RoundTrips,
  roundTrips,
  stallingServer,
} from "../support/streams.ts";

/** Size of the long stream; `VMFERRY_FORWARD_MIB` for another one. */
const MIB = Number(Deno.env.get("VMFERRY_FORWARD_MIB") ?? 256);
const STALL_MS = 8_000;
/**
 * Round trips while another stream is stalled and a third one is full. On a busy machine a few take long, but none
 * waits for the end of the stall.
 */
const MEDIAN_MS = 500;
const LONGEST_MS = STALL_MS / 2;

/** UNIX sockets through a tunnel, for users who drive QEMU with another tool. */
export const scenario: Scenario = {
  name: "forward",
  about:
    "forward carries any byte stream, with half-close and 64 at once, and a stalled one delays no other",
  timeoutMs: 600_000,
  async run(context) {
    const { dir } = context;
    await Deno.mkdir(`${dir}/from`);
    await Deno.mkdir(`${dir}/to`);
    const secret = `${dir}/secret`;
    await Deno.writeTextFile(secret, crypto.randomUUID(), { mode: 0o600 });
    const go = Promise.withResolvers<void>();
    using _echo = echoServer(`${dir}/to/echo`);
    using _stall = stallingServer(`${dir}/to/stall`, go.promise);

    const to = context.vmferry({
      name: "destination",
      args: [
        ...["forward", "--json", "--secret-file", secret, "--listen", "tcp://127.0.0.1:0"],
        ...["--to", `echo=unix://${dir}/to/echo`, "--to", `stall=unix://${dir}/to/stall`],
        ...["--to", `nobody=unix://${dir}/to/nobody`],
      ],
    });
    const address = await to.address();
    const names = ["echo", "stall", "nobody", "unknown"];
    const from = context.vmferry({
      name: "source",
      args: [
        ...["forward", "--json", "--secret-file", secret],
        ...names.flatMap((name) => ["--from", `${name}=unix://${dir}/from/${name}`]),
        address,
      ],
    });
    await from.waitEvent("listening", (e) => e.address === `unix://${dir}/from/unknown`);
    const { mode } = await Deno.stat(`${dir}/from/echo`);
    if ((mode! & 0o777) !== 0o600) throw new Error(`A socket has mode ${mode!.toString(8)}`);

    context.note(`${MIB} MiB in both directions`);
    const start = performance.now();
    await echoHash(`${dir}/from/echo`, MIB * 2 ** 20, 1);
    const rate = MIB * 2 / ((performance.now() - start) / 1000);

    context.note("64 streams at once");
    await Promise.all(
      Array.from({ length: 64 }, (_, i) => echoHash(`${dir}/from/echo`, 1_000_003 + i, i + 2)),
    );

    context.note("no listener or an unknown name: that stream ends, the others continue");
    for (const name of ["nobody", "unknown"]) {
      const pipe = await connectUnix(`${dir}/from/${name}`);
      if (await pipe.read(new Uint8Array(1)).catch(() => null) !== null) throw new Error("Bytes?");
      pipe.close();
      await from.waitEvent("stream", (e) => e.channel === name && e.error !== null);
    }

    context.note("a stalled reader");
    const stalled = await connectUnix(`${dir}/from/stall`);
    const filling = fill(stalled, 64 << 20);
    filling.catch(() => {}); // another failure is the one to report
    const pause = new Promise<void>((resolve) => setTimeout(resolve, STALL_MS));
    const { median, longest } = await roundTripsWith(`${dir}/from/echo`, pause);
    if (median > MEDIAN_MS || longest > LONGEST_MS) {
      throw new Error(`Half of the round trips took ${median} ms or more, one took ${longest} ms`);
    }
    go.resolve();
    const counted = await filling;
    if (counted !== String(64 << 20)) throw new Error(`${counted} bytes passed the stalled reader`);

    const peak = Math.max(await peakMemoryMiB(to.pid), await peakMemoryMiB(from.pid));
    for (const ferry of [from, to]) {
      ferry.signal("SIGTERM");
      await assertExit(ferry, 0, 20_000);
    }
    const left = await filesIn(`${dir}/from`);
    if (left.length > 0) throw new Error(`Left: ${left.join(", ")}`);
    return `${rate.toFixed(0)} MiB/s round trip, longest round trip beside a stalled reader ` +
      `${longest.toFixed(0)} ms, peak memory ${peak} MiB`;
  },
};

/** Round trips while a third stream carries as much as it can. */
async function roundTripsWith(path: string, until: Promise<void>): Promise<RoundTrips> {
  let over = false;
  until.then(() => over = true);
  const bulk = async () => {
    while (!over) await echoHash(path, 32 << 20, 99);
  };
  const [trips] = await Promise.all([roundTrips(path, until), bulk()]);
  return trips;
}

/** Sends so many bytes and returns the answer after the end. */
async function fill(
  pipe: Awaited<ReturnType<typeof connectUnix>>,
  bytes: number,
): Promise<string> {
  const chunk = new Uint8Array(1 << 20);
  for (let left = bytes; left > 0; left -= chunk.length) await writeAll(pipe, chunk);
  await pipe.closeWrite();
  const answer = new Uint8Array(64);
  let text = "";
  for (let n; (n = await pipe.read(answer)) !== null;) {
    text += new TextDecoder().decode(answer.subarray(0, n));
  }
  pipe.close();
  return text;
}
