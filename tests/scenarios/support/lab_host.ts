/**
 * A host in namespaces: mounts, network, hostname, IPC and processes. It ends with everything in it when
 * its first process ends, which is when the scenario's process does.
 *
 * @module
 */
import { systemClock, withDeadline } from "../../../src/io/mod.ts";
import { HostVmferry } from "./host_vmferry.ts";
import { endChild, Output } from "./output.ts";
import type { ScenarioContext } from "./scenario.ts";
import type { VmferryOptions } from "./vmferry.ts";

/** What a command printed, and how it ended (124 or 137: it did not end in time). */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a host is made. */
export interface LabHostOptions {
  /** Its hostname, and its name in logs. */
  readonly name: string;
  /** Its network namespace. */
  readonly netns: string;
  readonly address: string;
  /** `$HOME` of what runs there. Default: the scenario's. */
  readonly home?: string;
}

/** A host whose first process runs. */
export interface BegunHost {
  readonly child: Deno.ChildProcess;
  readonly stderr: Output;
}

/**
 * Makes the namespaces of a host and runs `script`, for bash, as its first process.
 *
 * @param script prints `ready` once the host can be used, and ends with its standard input.
 * @param args of the script.
 * @throws {Error} when the script ends before it is ready, or is not ready within 60 s.
 */
export async function beginHost(
  { name, netns }: LabHostOptions,
  script: string,
  args: readonly string[],
): Promise<BegunHost> {
  const child = new Deno.Command("nsenter", {
    args: [
      ...[`--net=/run/netns/${netns}`, "unshare", "--mount", "--uts", "--ipc", "--pid"],
      ...["--fork", "--kill-child", "--mount-proc", "bash", "-c", script, "init", ...args],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Output(child.stderr);
  const ready = Promise.withResolvers<void>();
  const stdout = new Output(child.stdout, (line) => line === "ready" && ready.resolve());
  stdout.ended.then(() => stderr.ended).then(() =>
    ready.reject(new Error(`${name}: the namespaces can't be made: ${stderr.text}`))
  );
  try {
    await withDeadline(systemClock, 60_000, `${name}: namespaces`, ready.promise);
    return { child, stderr };
  } catch (error) {
    await endChild(child, 0);
    throw error;
  }
}

export class LabHost implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  protected readonly context: ScenarioContext;
  /** The process whose namespaces are the host's. */
  protected pid: number;
  readonly #home: string | undefined;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stderr: Output;
  readonly #log: string[] = [];

  constructor(context: ScenarioContext, options: LabHostOptions, { child, stderr }: BegunHost) {
    this.context = context;
    this.name = options.name;
    this.address = options.address;
    this.#child = child;
    this.#stderr = stderr;
    this.#stdin = child.stdin.getWriter();
    this.#home = options.home;
    this.pid = firstChild(child.pid);
  }

  /** In front of a command, runs it on this host. */
  get prefix(): readonly string[] {
    return [
      ...["nsenter", "--target", String(this.pid), "--all", "--"],
      ...(this.#home === undefined ? [] : ["env", `HOME=${this.#home}`]),
    ];
  }

  get logs(): { title: string; text: string }[] {
    return [
      { title: `${this.name}: commands`, text: this.#log.slice(-60).join("\n") },
      { title: `${this.name}: the first process's stderr`, text: this.#stderr.text },
    ];
  }

  /** Where a file of the host is for the scenario: `path` is absolute, as the host has it. */
  file(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** Runs a command to its end on this host, as root. Never throws because of its exit code. */
  async run(argv: readonly string[], timeoutMs = 30_000): Promise<Ran> {
    const seconds = (timeoutMs / 1000).toFixed(1);
    const start = performance.now();
    const { code, stdout, stderr } = await new Deno.Command(this.prefix[0]!, {
      args: [...this.prefix.slice(1), "timeout", "--kill-after=2", seconds, ...argv],
      env: { LC_ALL: "C" },
      stdin: "null",
    }).output();
    const ran = {
      code,
      stdout: new TextDecoder().decode(stdout),
      stderr: new TextDecoder().decode(stderr),
    };
    const took = ((performance.now() - start) / 1000).toFixed(1);
    if (!argv.includes("qemu-monitor-command")) {
      const line = argv.map((word) => word.includes("\n") ? "SCRIPT" : word).join(" ");
      this.#log.push(`${line}: ${code} after ${took} s ${ran.stderr.trim()}`);
    }
    return ran;
  }

  /**
   * Runs a command to its end on this host, as root.
   *
   * @returns what it printed, without white space at its ends.
   * @throws {Error} with its standard error, when it fails.
   */
  async must(...argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv);
    if (code !== 0) throw new Error(`${this.name}: ${argv.join(" ")}: ${code} ${stderr}`);
    return stdout.trim();
  }

  /** Starts vmferry on this host; its signals and its pid are those of the process there. */
  vmferry(options: Omit<VmferryOptions, "prefix">): HostVmferry {
    return this.context.use(new HostVmferry({ ...options, prefix: this.prefix }));
  }

  /** Starts another program that is to run until the scenario ends. */
  start(argv: readonly string[]): void {
    const child = new Deno.Command(this.prefix[0]!, {
      args: [...this.prefix.slice(1), ...argv],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    child.status.catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close().catch(() => {});
    await endChild(this.#child, 5000);
    await this.#stderr.ended;
  }
}

/** The only child of a process, such as that which nsenter or unshare runs. */
export function firstChild(pid: number): number {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ");
  const child = Number(children[0]);
  if (!(child > 0)) throw new Error(`Process ${pid} has no child`);
  return child;
}
