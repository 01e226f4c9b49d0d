/**
 * How fast one side of `--verify` hashes a disk, alone on this machine: an export of qemu-nbd, read and hashed as
 * each end does it.
 *
 *     one_side.ts [--mib 1024] [--rounds 5]
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { hashBlocks, PAGE_BYTES } from "../../../src/delta/mod.ts";
import { NbdReader } from "../../../src/nbd/mod.ts";
import { connectUnix } from "../../../src/transport/mod.ts";
import { listening, makeDirectories, median, randomFile } from "../ground.ts";
import { describe, machine } from "../machine.ts";
import { cpuSeconds } from "../processes.ts";
import { table } from "../report.ts";

const args = parseArgs(Deno.args, { string: ["mib", "rounds"] });
const bytes = Number(args.mib ?? 1024) << 20;
const rounds = Number(args.rounds ?? 5);

console.log(describe(await machine()));
await using directories = await makeDirectories();
const image = `${directories.data}/random.raw`;
await randomFile(image, bytes);
const socket = `${directories.sockets}/nbd.sock`;
await using server = new Deno.Command("qemu-nbd", {
  args: ["--read-only", "--format=raw", "--persistent", `--socket=${socket}`, image],
  ...{ stdin: "null", stdout: "null", stderr: "inherit" },
}).spawn();
await listening(socket);
const seconds: number[] = [];
const cpu: { readonly own: number; readonly server: number }[] = [];
for (let round = 0; round < rounds; round++) {
  using reader = await NbdReader.open(await connectUnix(socket), "");
  const before = [cpuSeconds(Deno.pid), cpuSeconds(server.pid)] as const;
  const start = performance.now();
  for (let offset = 0; offset < bytes; offset += PAGE_BYTES) {
    await hashBlocks(reader, { offset, length: Math.min(PAGE_BYTES, bytes - offset) });
  }
  seconds.push((performance.now() - start) / 1000);
  const own = cpuSeconds(Deno.pid) - before[0] - (cpuSeconds(server.pid) - before[1]);
  cpu.push({ own, server: cpuSeconds(server.pid) - before[1] });
}
const perGb = (of: (round: typeof cpu[number]) => number) =>
  (median(cpu.map(of)) / bytes * 1e9).toFixed(2);
console.log(`\n${bytes >> 20} MiB, median of ${rounds} rounds\n`);
table([
  ["GB/s a side", "CPU of vmferry, s/GB", "CPU of qemu-nbd, s/GB"],
  [
    (bytes / median(seconds) / 1e9).toFixed(2),
    perGb(({ own }) => own),
    perGb((round) => round.server),
  ],
]);
