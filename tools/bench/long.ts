/**
 * `make bench-long`: one disk and four through vmferry over a connection with a delay and a rate.
 *
 *     long.ts [--rtt 1,20,50,100] [--mbit 1000,10000] [--seconds N] [--json FILE]
 *
 * Each simulated connection is first measured by itself, with a plain relay through it. One stream of
 * bytes shows the share of the rate that the simulation reaches, one disk the share that QEMU reaches: by
 * default a mirror has no more than 16 MiB under way. vmferry's mirrors use the buffers of a migration.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { mirrorBufferBytes } from "../../src/migrate/disks/buffer_size.ts";
import { makeDirectories, quantile, randomFile } from "./ground.ts";
import { type Line, startLine } from "./line/line.ts";
import { describe, machine } from "./machine.ts";
import { MirrorBench } from "./mirrors.ts";
import { peakMemoryMiB } from "./processes.ts";
import { RawBench } from "./relays/raw.ts";
import { type Relay, startRelay, vmferryPath } from "./relays/relays.ts";
import { table } from "./report.ts";
import { roundTrips } from "./rpc.ts";
import { project } from "../run.ts";

const args = parseArgs(Deno.args, { string: ["rtt", "mbit", "seconds", "json"] });
const rtts = numbers(args.rtt ?? "1,20,50,100");
const rates = numbers(args.mbit ?? "1000,10000");
const seconds = Number(args.seconds ?? 4);
const SCRIPT = [Deno.execPath(), "run", "-A", "--no-check"];

/** Shares are of the connection's nominal rate; round trips of the RPC behind four disks, ms. */
interface Row {
  readonly rttMs: number;
  readonly mbit: number;
  readonly link: number;
  /** One disk through the plain relay. */
  readonly plainOne: number;
  readonly one: number;
  readonly four: number;
  readonly p50: number;
  readonly p99: number;
  readonly peakMiB: number;
}

const about = await machine();
console.log(describe(about));
const rows: Row[] = [];
{
  await using directories = await makeDirectories();
  const dir = directories.sockets;
  await using raw = await RawBench.start(dir);
  for (const mbit of rates) {
    // A size that takes about that long, in parts of 1 MiB for four disks.
    const bytes = Math.max(8, Math.min(2048, Math.round(mbit / 8 * seconds / 4) * 4)) * 2 ** 20;
    const image = `${directories.data}/${mbit}.raw`;
    await randomFile(image, bytes);
    await using mirrors = await MirrorBench.start({ dir, image, bytes, counts: [1, 4] });
    for (const rttMs of rtts) {
      const row = await measure(dir, mirrors, raw, mbit, rttMs);
      rows.push(row);
      console.error(JSON.stringify(row));
    }
    await Deno.remove(image);
  }
}

console.log("\nShare of the connection; RPC behind 4 disks, ms; peak MiB of the near + far end\n");
const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
table([
  [
    ...["RTT", "Mbit/s", "link by itself", "1 disk, plain relay"],
    ...["1 disk", "4 disks", "RPC p50", "p99", "peak"],
  ],
  ...rows.map((r) => [
    ...[`${r.rttMs} ms`, String(r.mbit), percent(r.link), percent(r.plainOne)],
    ...[percent(r.one), percent(r.four)],
    ...[r.p50.toFixed(0), r.p99.toFixed(0), String(r.peakMiB)],
  ]),
]);
if (args.json !== undefined) {
  await Deno.writeTextFile(
    String(args.json),
    JSON.stringify({ machine: about, rows }, undefined, 1) + "\n",
  );
}

async function measure(
  dir: string,
  mirrors: MirrorBench,
  raw: RawBench,
  mbit: number,
  rttMs: number,
): Promise<Row> {
  const share = (bytes: number, seconds: number) => bytes * 8 / 1e6 / seconds / mbit;
  const { bytes } = mirrors;
  let link: number;
  {
    await using line = await startLine(rttMs, mbit);
    await using relay = stopping(await plain(dir, raw.targetSocket, line));
    link = share(bytes, await raw.run(relay.path, bytes));
  }
  let plainOne: number;
  {
    await using line = await startLine(rttMs, mbit);
    await using relay = stopping(await plain(dir, mirrors.targetSocket, line));
    plainOne = share(bytes, await mirrors.run(relay.path, 1));
  }
  await using line = await startLine(rttMs, mbit);
  await using relay = stopping(await vmferry(dir, mirrors.targetSocket, line));
  const carry = (disks: 1 | 4, whenDone?: () => void) =>
    mirrors.run(relay.path, disks, whenDone, mirrorBufferBytes(rttMs, disks));
  const one = share(bytes, await carry(1));
  const four = share(bytes, await carry(4));
  const stop = new AbortController();
  const trips = roundTrips(relay.refusedPath!, stop.signal);
  await carry(4, () => stop.abort());
  const taken = await trips;
  const peakMiB = Math.round(peakMemoryMiB(relay.near!) + peakMemoryMiB(relay.far!));
  const [p50, p99] = [quantile(taken, 0.5), quantile(taken, 0.99)];
  return { rttMs, mbit, link, plainOne, one, four, p50, p99, peakMiB };
}

async function plain(dir: string, target: string, line: Line): Promise<Relay> {
  const path = `${dir}/relay.sock`;
  const relay = [...SCRIPT, project("tools/bench/relays/relay.ts")];
  return await startRelay(path, {
    far: [...relay, "listen", `${line.far}`, target],
    farListens: line.far,
    near: [...relay, "connect", path, `${line.near}`],
  });
}

async function vmferry(dir: string, target: string, line: Line): Promise<Relay> {
  const [path, refusedPath] = [`${dir}/ferry.sock`, `${dir}/refused.sock`];
  const program = [vmferryPath(), "forward", "--quiet"];
  const relay = await startRelay(path, {
    far: [...program, "--to", `nbd=unix://${target}`, "--listen", `tcp://127.0.0.1:${line.far}`],
    farListens: line.far,
    near: [
      ...[...program, "--from", `refused=unix://${refusedPath}`, "--from", `nbd=unix://${path}`],
      `tcp://127.0.0.1:${line.near}`,
    ],
  });
  return { ...relay, refusedPath };
}

function stopping(relay: Relay): Relay & AsyncDisposable {
  return { ...relay, [Symbol.asyncDispose]: () => relay.stop() };
}

function numbers(text: unknown): number[] {
  return String(text).split(",").map(Number);
}
