/**
 * What a benchmark ran on and with.
 *
 * @module
 */
import { run } from "../run.ts";
import { vmferryPath } from "./relays/relays.ts";

/** tcp(7). */
const CONGESTION_CONTROL = "/proc/sys/net/ipv4/tcp_congestion_control";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  /** What new TCP connections use, such as `cubic`. */
  readonly congestionControl: string;
  readonly versions: Readonly<Record<string, string>>;
}

export async function machine(): Promise<Machine> {
  const cpuinfo = await Deno.readTextFile("/proc/cpuinfo");
  return {
    cpu: /model name\s*: (.*)/.exec(cpuinfo)?.[1] ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memoryGiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    kernel: Deno.osRelease(),
    congestionControl: (await Deno.readTextFile(CONGESTION_CONTROL)).trim(),
    versions: {
      vmferry: (await run(vmferryPath(), ["--version"])).trim(),
      deno: Deno.version.deno,
      qemu: await version("qemu-storage-daemon", ["--version"], /version (\S+)/),
      socat: await version("socat", ["-V"], /socat version (\S+)/),
      ssh: await version("sh", ["-c", "ssh -V 2>&1"], /OpenSSH_(\S+?),? /),
    },
  };
}

/** One line for the head of a report. */
export function describe(
  { cpu, cores, memoryGiB, kernel, congestionControl, versions }: Machine,
): string {
  const programs = Object.entries(versions).map(([name, text]) =>
    text.startsWith(name) ? text : `${name} ${text}`
  );
  return `${cores} x ${cpu}, ${memoryGiB} GiB, Linux ${kernel}, ${congestionControl}; ${
    programs.join(", ")
  }`;
}

async function version(program: string, args: readonly string[], find: RegExp): Promise<string> {
  return find.exec(await run(program, args))?.[1] ?? "unknown";
}
