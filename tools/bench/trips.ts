/**
 * `make bench-trips`: the round trip of a few bytes through each relay without other traffic. The last
 * messages of a disk and of RAM cross like this while the guest is paused.
 *
 *     trips.ts [--rounds N] [ROW...]
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { delay, readFull, systemClock, writeAll } from "../../src/io/mod.ts";
import { makeDirectories, median, quantile } from "./ground.ts";
import { describe, machine } from "./machine.ts";
import { relays } from "./relays/relays.ts";
import { table } from "./report.ts";

const args = parseArgs(Deno.args, { string: ["rounds"] });
const rounds = Number(args.rounds ?? 3);
const rows = args._.length > 0
  ? args._.map(String)
  : ["direct", "socat", "plain relay", "vmferry tcp", "vmferry ticket"];
/** Round trips in one round. */
const TRIPS = 50;
/** Between two of them, ms: what was awake for the one before is asleep again. */
const PAUSE_MS = 20;
/** As an NBD request without data, bytes. */
const SIZE = 28;

console.log(describe(await machine()));
const taken = new Map<string, number[]>(rows.map((row) => [row, []]));
{
  await using directories = await makeDirectories();
  const path = `${directories.sockets}/echo.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  const echoing = echo(listener);
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      const relay = await relays[row]!(directories.sockets, path);
      try {
        taken.get(row)!.push(...await trips(relay.path));
      } finally {
        await relay.stop();
      }
    }
  }
  listener.close();
  await echoing;
}

console.log(`\n${SIZE} bytes, round trip, one every ${PAUSE_MS} ms, ms\n`);
table([
  ["row", "median", "p90"],
  ...rows.map((row) => {
    const all = taken.get(row)!;
    return [row, median(all).toFixed(2), quantile(all, 0.9).toFixed(2)];
  }),
]);

async function trips(path: string): Promise<number[]> {
  using conn = await Deno.connect({ transport: "unix", path });
  const bytes = new Uint8Array(SIZE);
  const all: number[] = [];
  for (let i = 0; i <= TRIPS; i++) {
    const start = performance.now();
    await writeAll(conn, bytes);
    if (!await readFull(conn, bytes)) throw new Error(`${path}: ended by the other end`);
    // The first one makes the connection, too.
    if (i > 0) all.push(performance.now() - start);
    await delay(systemClock, PAUSE_MS);
  }
  return all;
}

async function echo(listener: Deno.Listener): Promise<void> {
  try {
    for await (const conn of listener) {
      conn.readable.pipeTo(conn.writable).catch(() => {});
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
