/**
 * What the benchmarks stand on: ports, images, figures of processes, statistics.
 *
 * @module
 */
import { poll } from "../../tests/scenarios/support/waiting.ts";

/** A TCP port that was free a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Waits until a socket or a port on loopback listens, without connecting to it. */
export async function listening(at: string | number): Promise<void> {
  await poll(`${at} to listen`, async () => {
    if (typeof at === "string") {
      const table = await Deno.readTextFile("/proc/net/unix");
      return table.split("\n").some((line) => line.endsWith(` ${at}`)) ? true : undefined;
    }
    const port = at.toString(16).toUpperCase().padStart(4, "0");
    for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
      const text = await Deno.readTextFile(table).catch(() => "");
      if (new RegExp(`:${port} [0-9A-F]+:0000 0A `).test(text)) return true;
    }
    return undefined;
  });
}

/** Images of random bytes on tmpfs; removed when disposed. */
export async function randomImages(dir: string, count: number, bytes: number): Promise<string[]> {
  const chunk = new Uint8Array(65536 * 16);
  const paths = Array.from({ length: count }, (_, i) => `${dir}/image-${i}.raw`);
  for (const path of paths) {
    using file = await Deno.open(path, { write: true, create: true });
    for (let left = bytes; left > 0; left -= chunk.length) {
      for (let at = 0; at < chunk.length; at += 65536) {
        crypto.getRandomValues(chunk.subarray(at, at + 65536));
      }
      await file.write(chunk);
    }
  }
  return paths;
}

/** CPU time of a process and of its children that have ended, s. */
export function cpuSeconds(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / 100;
}

/** Most memory that a process had, MiB. */
export function peakMemoryMiB(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? NaN) / 1024);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
