/**
 * `make bench-lanes`: four disks over one connection and over several, on a link that limits each
 * connection, and on loopback.
 *
 *     lanes.ts [--mbit 1000] [--lanes 1,2,4] [--mib 512] [--rounds 3] [--json FILE]
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { freePort, makeDirectories, median, quantile, randomFile } from "../ground.ts";
import { startLine } from "./line.ts";
import { describe, machine } from "../machine.ts";
import { MirrorBench } from "../mirrors.ts";
import { cpuSeconds, peakMemoryMiB } from "../processes.ts";
import { type Relay, startRelay, vmferryPath } from "../relays/relays.ts";
import { table } from "../report.ts";
import { roundTrips } from "../rpc.ts";

const args = parseArgs(Deno.args, { string: ["mbit", "lanes", "mib", "rounds", "json"] });
const mbit = Number(args.mbit ?? 1000);
const counts = String(args.lanes ?? "1,2,4").split(",").map(Number);
const bytes = Number(args.mib ?? 512) * 2 ** 20;
const rounds = Number(args.rounds ?? 3);
const DISKS = 4;
const RTT_MS = 1;

/** One run: rate in MB/s, RPC in ms, CPU of both ends in s for each GiB, memory of both ends in MiB. */
interface Run {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpu: number;
  readonly peakMiB: number;
}

const about = await machine();
console.log(describe(about));
const limited = new Map<number, Run[]>(counts.map((count) => [count, []]));
const loopback = new Map<number, Run[]>(counts.map((count) => [count, []]));
{
  await using directories = await makeDirectories();
  const dir = directories.sockets;
  const image = `${directories.data}/disk.raw`;
  await randomFile(image, bytes);
  await using mirrors = await MirrorBench.start({ dir, image, bytes, counts: [DISKS] });
  for (let round = 0; round < rounds; round++) {
    for (const count of counts) {
      const port = freePort();
      await using near = stopping(await vmferry(dir, mirrors.targetSocket, count, port, port));
      loopback.get(count)!.push(await measure(mirrors, near));
    }
    for (const count of counts) {
      await using line = await startLine(RTT_MS, mbit);
      const { near, far } = line;
      await using relay = stopping(await vmferry(dir, mirrors.targetSocket, count, near, far));
      limited.get(count)!.push(await measure(mirrors, relay));
    }
  }
}
print(`${DISKS} disks, each connection limited to ${mbit} Mbit/s`, limited);
print(`${DISKS} disks, loopback`, loopback);
if (args.json !== undefined) {
  const rows = { limited: Object.fromEntries(limited), loopback: Object.fromEntries(loopback) };
  await Deno.writeTextFile(
    String(args.json),
    JSON.stringify({ machine: about, mbit, ...rows }, undefined, 1) + "\n",
  );
}

async function measure(mirrors: MirrorBench, relay: Relay): Promise<Run> {
  const stop = new AbortController();
  const trips = roundTrips(relay.refusedPath!, stop.signal);
  const used = () => cpuSeconds(relay.near!) + cpuSeconds(relay.far!);
  const before = used();
  let cpu = 0;
  const seconds = await mirrors.run(relay.path, DISKS, () => {
    cpu = used() - before;
    stop.abort();
  });
  const taken = await trips;
  return {
    rate: bytes / seconds / 1e6,
    ...{ p50: quantile(taken, 0.5), p99: quantile(taken, 0.99) },
    cpu: cpu / (bytes / 2 ** 30),
    peakMiB: Math.round(peakMemoryMiB(relay.near!) + peakMemoryMiB(relay.far!)),
  };
}

async function vmferry(
  dir: string,
  target: string,
  lanes: number,
  near: number,
  far: number,
): Promise<Relay> {
  const [path, refusedPath] = [`${dir}/ferry.sock`, `${dir}/refused.sock`];
  const program = [vmferryPath(), "forward", "--quiet", "--compress", "off"];
  const relay = await startRelay(path, {
    far: [...program, "--to", `nbd=unix://${target}`, "--listen", `tcp://127.0.0.1:${far}`],
    farListens: far,
    near: [
      ...[...program, "--from", `refused=unix://${refusedPath}`, "--from", `nbd=unix://${path}`],
      // Without the option for one, so that an older program can be measured beside it.
      ...lanes > 1 ? ["--connections", String(lanes)] : [],
      `tcp://127.0.0.1:${near}`,
    ],
  });
  return { ...relay, refusedPath };
}

function print(title: string, runs: ReadonlyMap<number, readonly Run[]>): void {
  const of = (count: number, member: keyof Run) =>
    median(runs.get(count)!.map((run) => run[member]));
  const [first] = counts;
  console.log(`\n${title}; medians of ${rounds} rounds\n`);
  table([
    ["connections", "MB/s", "x", "CPU s/GiB", "x", "RPC p50 ms", "p99 ms", "peak MiB"],
    ...counts.map((count) => [
      ...[String(count), of(count, "rate").toFixed(1)],
      (of(count, "rate") / of(first!, "rate")).toFixed(2),
      of(count, "cpu").toFixed(2),
      (of(count, "cpu") / of(first!, "cpu")).toFixed(2),
      ...[of(count, "p50").toFixed(1), of(count, "p99").toFixed(1)],
      String(of(count, "peakMiB")),
    ]),
  ]);
}

function stopping(relay: Relay): Relay & AsyncDisposable {
  return { ...relay, [Symbol.asyncDispose]: () => relay.stop() };
}
