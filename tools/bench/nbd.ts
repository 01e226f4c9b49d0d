/**
 * `make bench-nbd`: the rate of the NBD client and server of src/nbd, beside nbdkit's, with nbdcopy and
 * with the client, from RAM to RAM over UNIX sockets.
 *
 *     nbd.ts [--rounds N] [--mib N]
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import type { BlockDevice } from "../../src/nbd/mod.ts";
import { NbdClient, NbdServer } from "../../src/nbd/mod.ts";
import { connectUnix } from "../../src/transport/mod.ts";
import { listening, makeDirectories, median, randomFile } from "./ground.ts";
import { table } from "./report.ts";

const args = parseArgs(Deno.args, { string: ["rounds", "mib"] });
const rounds = Number(args.rounds ?? 3);
const bytes = Number(args.mib ?? 512) << 20;

/** Requests that the client has under way at once, as a mirror job of QEMU has. */
const PARALLEL = 16;

/** Reads zeroes that are no holes, drops what is written. */
const nothing: BlockDevice = {
  sizeBytes: bytes,
  readOnly: false,
  blockSize: { minimum: 1, preferred: 4096, maximum: 1 << 25 },
  can: {
    ...{ flush: true, fua: true, writeZeroes: true, fastZero: true },
    ...{ trim: true, cache: false, multiConn: true, blockStatus: false },
  },
  read: () => Promise.resolve([]),
  write: () => Promise.resolve(),
  writeZeroes: () => Promise.resolve(),
  trim: () => Promise.resolve(),
  flush: () => Promise.resolve(),
  cache: () => Promise.resolve(),
  blockStatus: (_, length) => Promise.resolve([{ length, hole: false, zero: false }]),
  close: () => Promise.resolve(),
};

await using directories = await makeDirectories();
const { sockets, data } = directories;
const file = `${data}/random.raw`;
await randomFile(file, bytes);

const nbdkit = new Deno.Command("nbdkit", {
  args: ["-f", "-U", `${sockets}/nbdkit.sock`, "--filter=noextents", "null", `size=${bytes}`],
  ...{ stdin: "null", stdout: "null", stderr: "null" },
}).spawn();
await listening(`${sockets}/nbdkit.sock`);
await using _ours = serve(`${sockets}/ours.sock`, () => Promise.resolve(nothing));
await using _joined = serve(`${sockets}/joined.sock`, () => open(`${sockets}/nbdkit.sock`));

/** Name, and what moves all bytes once. */
const ROWS: readonly [string, () => Promise<void>][] = [
  ["nbdcopy file -> nbdkit", () => copy(file, "nbdkit")],
  ["nbdcopy file -> our server", () => copy(file, "ours")],
  ["nbdcopy file -> our server, our client -> nbdkit", () => copy(file, "joined")],
  ["nbdcopy our server -> null", () => copy("ours", undefined)],
  ["nbdcopy nbdkit -> null", () => copy("nbdkit", undefined)],
  ["our client -> nbdkit, 64 KiB", () => write("nbdkit", 65536)],
  ["our client -> nbdkit, 1 MiB", () => write("nbdkit", 1 << 20)],
  ["our client -> our server, 64 KiB", () => write("ours", 65536)],
  ["our client -> our server, 1 MiB", () => write("ours", 1 << 20)],
  ["nbdkit -> our client, 64 KiB", () => read("nbdkit", 65536)],
  ["nbdkit -> our client, 1 MiB", () => read("nbdkit", 1 << 20)],
];

const rates = new Map<string, number[]>(ROWS.map(([name]) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (const [name, run] of ROWS) {
    const start = performance.now();
    await run();
    rates.get(name)!.push(bytes / 1e3 / (performance.now() - start));
  }
}
nbdkit.kill("SIGTERM");
await nbdkit.status;

console.log(`Deno ${Deno.version.deno}`);
console.log(`\n${bytes >> 20} MiB, ${rounds} rounds, MB/s\n`);
table([
  ["row", "median", "least", "most"],
  ...ROWS.map(([name]) => {
    const all = rates.get(name)!;
    return [name, ...[median(all), Math.min(...all), Math.max(...all)].map((n) => n.toFixed(0))];
  }),
]);

function serve(path: string, device: () => Promise<BlockDevice>): AsyncDisposable {
  const listener = Deno.listen({ transport: "unix", path });
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      const of = await device();
      const server = new NbdServer([{ name: "", device: of }]);
      serving.push(server.serve(conn).catch(() => {}).finally(() => of.close()));
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      await Promise.all(serving);
    },
  };
}

async function open(path: string): Promise<NbdClient> {
  return await NbdClient.open(await connectUnix(path), "");
}

async function copy(from: string, to: string | undefined): Promise<void> {
  const place = (name: string | undefined) =>
    name === undefined
      ? "null:"
      : name.startsWith("/")
      ? name
      : `nbd+unix:///?socket=${sockets}/${name}.sock`;
  const { success, stderr } = await new Deno.Command("nbdcopy", {
    args: ["--connections=1", place(from), place(to)],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

async function write(name: string, size: number): Promise<void> {
  const client = await open(`${sockets}/${name}.sock`);
  const piece = crypto.getRandomValues(new Uint8Array(65536));
  const whole = new Uint8Array(size);
  for (let at = 0; at < size; at += piece.length) whole.set(piece, at);
  await eachPiece(size, (offset) => client.write(offset, whole));
  await client.close();
}

async function read(name: string, size: number): Promise<void> {
  const client = await open(`${sockets}/${name}.sock`);
  const buffers = Array.from({ length: PARALLEL }, () => new Uint8Array(size));
  await eachPiece(size, (offset, worker) => client.read(offset, buffers[worker]!));
  await client.close();
}

async function eachPiece(
  size: number,
  one: (offset: number, worker: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const work = async (worker: number) => {
    while (next < bytes) {
      const offset = next;
      next += size;
      await one(offset, worker);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, (_, worker) => work(worker)));
}
