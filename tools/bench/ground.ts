/**
 * Shared parts of the benchmarks: ports, sockets, data, statistics.
 *
 * @module
 */
import { poll } from "../../tests/scenarios/support/waiting.ts";

/** A TCP port that was free a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Flags of a socket in /proc/net/unix that listens (__SO_ACCEPTCON). */
const LISTENS = "00010000";

/** Waits until a socket or a port on loopback listens, without connecting to it. */
export async function listening(at: string | number): Promise<void> {
  await poll(`${at} to listen`, async () => {
    if (typeof at === "string") {
      const table = await Deno.readTextFile("/proc/net/unix");
      // Its file is there when it is bound, and it accepts connections only when it listens.
      const isListening = (line: string) =>
        line.endsWith(` ${at}`) && line.split(/ +/)[3] === LISTENS;
      return table.split("\n").some(isListening) ? true : undefined;
    }
    const port = at.toString(16).toUpperCase().padStart(4, "0");
    for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
      const text = await Deno.readTextFile(table).catch(() => "");
      if (new RegExp(`:${port} [0-9A-F]+:0000 0A `).test(text)) return true;
    }
    return undefined;
  });
}

/** Directories of a benchmark, removed when disposed. */
export interface Directories extends AsyncDisposable {
  /** For sockets: the built program may not touch `/dev`. */
  readonly sockets: string;
  /** For data, on tmpfs. */
  readonly data: string;
}

export async function makeDirectories(): Promise<Directories> {
  const sockets = await Deno.makeTempDir({ prefix: "vmferry-bench-" });
  const data = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "vmferry-bench-" });
  return {
    sockets,
    data,
    async [Symbol.asyncDispose]() {
      for (const dir of [sockets, data]) await Deno.remove(dir, { recursive: true });
    },
  };
}

/** A file of random bytes. `bytes` is a multiple of 1 MiB. */
export async function randomFile(path: string, bytes: number): Promise<void> {
  const chunk = new Uint8Array(1 << 20);
  using file = await Deno.open(path, { write: true, create: true });
  for (let left = bytes; left > 0; left -= chunk.length) {
    for (let at = 0; at < chunk.length; at += 65536) {
      crypto.getRandomValues(chunk.subarray(at, at + 65536));
    }
    for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
  }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which a share `q` of the values lies; between two of them in proportion. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] ?? NaN;
  const above = sorted[Math.ceil(at)] ?? NaN;
  return below + (above - below) * (at - Math.floor(at));
}
