/**
 * A host with a libvirt of its own, in namespaces: mounts, network, hostname, IPC and processes. Its
 * /run, /etc/libvirt, /var/lib/libvirt, /var/cache/libvirt and /var/log/libvirt are its own; it ends
 * with everything in it when its first process ends, which is when the scenario's process does.
 *
 * @module
 */
import { systemClock, withDeadline } from "../../../../src/io/mod.ts";
import { endChild, Output } from "../../support/output.ts";
import type { ScenarioContext } from "../../support/scenario.ts";
import type { VmferryOptions } from "../../support/vmferry.ts";
import { poll } from "../../support/waiting.ts";
import { HOST_INIT, LIBVIRTD_CONF, PROJECT, QEMU_CONF } from "./host_files.ts";
import type { ImageFormat } from "../../guest/mod.ts";
import { LoopDevice } from "./loop_device.ts";
import { HostVmferry } from "./host_vmferry.ts";

/** What a command printed, and how it ended (124 or 137: it did not end in time). */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a host is made. */
export interface LibvirtHostOptions {
  /** Its hostname, and its name in logs. */
  readonly name: string;
  /** Its network namespace. */
  readonly netns: string;
  readonly address: string;
  /** The directory of an unpacked distribution that the host runs. Default: the machine's. */
  readonly root?: string;
  /** More lines for libvirt's qemu.conf. */
  readonly qemuConf?: readonly string[];
}

/** Each is mounted over a directory of libvirt's, see {@link HOST_INIT}. */
const OWN = ["etc", "lib", "cache", "log"];

export class LibvirtHost implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  /** In front of a command, runs it on this host. */
  readonly prefix: readonly string[];
  readonly #context: ScenarioContext;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stderr: Output;
  readonly #pid: number;
  readonly #log: string[] = [];
  #daemon: { child: Deno.ChildProcess; stderr: Output } | undefined;

  /**
   * Makes the namespaces and starts libvirtd.
   *
   * @throws {Error} when libvirtd is not installed, or does not answer within 60 s.
   */
  static async start(context: ScenarioContext, options: LibvirtHostOptions): Promise<LibvirtHost> {
    await assertInstalled(options.root ?? "");
    const dir = `${context.dir}/${options.name}`;
    for (const own of OWN) await Deno.mkdir(`${dir}/${own}`, { recursive: true });
    await Deno.writeTextFile(`${dir}/etc/libvirtd.conf`, LIBVIRTD_CONF(crypto.randomUUID()));
    const qemuConf = [...QEMU_CONF, ...options.qemuConf ?? [], ""].join("\n");
    await Deno.writeTextFile(`${dir}/etc/qemu.conf`, qemuConf);
    const child = new Deno.Command("nsenter", {
      args: [
        ...[`--net=/run/netns/${options.netns}`, "unshare", "--mount", "--uts", "--ipc", "--pid"],
        ...["--fork", "--kill-child", "--mount-proc", "bash", "-c", HOST_INIT, "init"],
        ...[options.name, dir, options.root ?? "", PROJECT, Deno.env.get("HOME") ?? "/root"],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Output(child.stderr);
    const ready = Promise.withResolvers<void>();
    const stdout = new Output(child.stdout, (line) => line === "ready" && ready.resolve());
    stdout.ended.then(() => stderr.ended).then(() =>
      ready.reject(new Error(`${options.name}: the namespaces can't be made: ${stderr.text}`))
    );
    try {
      await withDeadline(systemClock, 20_000, `${options.name}: namespaces`, ready.promise);
      const host = context.use(new LibvirtHost(context, options, child, stderr));
      await host.startDaemon();
      return host;
    } catch (error) {
      await endChild(child, 0);
      throw error;
    }
  }

  private constructor(
    context: ScenarioContext,
    options: LibvirtHostOptions,
    child: Deno.ChildProcess,
    stderr: Output,
  ) {
    this.#context = context;
    this.name = options.name;
    this.address = options.address;
    this.#child = child;
    this.#stderr = stderr;
    this.#stdin = child.stdin.getWriter();
    this.#pid = firstChild(child.pid);
    this.prefix = ["nsenter", "--target", String(this.#pid), "--all", "--"];
  }

  get logs(): { title: string; text: string }[] {
    const daemon = this.#daemon?.stderr.text ?? "";
    return [
      { title: `${this.name}: commands`, text: this.#log.slice(-60).join("\n") },
      { title: `${this.name}: libvirtd's stderr`, text: lastLines(daemon, 60) },
      { title: `${this.name}: the first process's stderr`, text: this.#stderr.text },
    ];
  }

  /** Where a file of the host is for the scenario: `path` is absolute, as the host has it. */
  file(path: string): string {
    return `/proc/${this.#pid}/root${path}`;
  }

  /** Starts libvirtd, again after {@link stopDaemon}, and waits until it answers. */
  async startDaemon(): Promise<void> {
    const child = new Deno.Command(this.prefix[0]!, {
      args: [...this.prefix.slice(1), "libvirtd"],
      env: { LC_ALL: "C" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const stderr = new Output(child.stderr);
    this.#daemon = { child, stderr };
    let ended = false;
    child.status.then(() => ended = true);
    await poll(`${this.name}: libvirtd's socket`, async () => {
      if (ended) throw new Error(`${this.name}: libvirtd ended: ${stderr.text}`);
      return await exists(this.file("/run/libvirt/libvirt-sock")) || undefined;
    });
    await this.virsh("list");
  }

  /** Ends libvirtd; its domains go on. */
  async stopDaemon(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    if (!this.#daemon) return;
    const { child } = this.#daemon;
    Deno.kill(firstChild(child.pid), signal);
    // nsenter stops with a child that is stopped.
    Deno.kill(child.pid, "SIGCONT");
    await withDeadline(systemClock, 20_000, `${this.name}: libvirtd to end`, child.status);
    await Deno.remove(this.file("/run/libvirt/libvirt-sock")).catch(() => {});
    this.#daemon = undefined;
  }

  /** Sends libvirtd a signal; one that is stopped (SIGSTOP) goes on with SIGCONT. */
  signalDaemon(signal: "SIGSTOP" | "SIGCONT"): void {
    const parent = this.#daemon!.child.pid;
    Deno.kill(firstChild(parent), signal);
    // nsenter stops with its child.
    if (signal === "SIGCONT") Deno.kill(parent, signal);
  }

  /** Gives the host /dev/kvm, for every user, and has libvirtd notice it. */
  async allowKvm(): Promise<void> {
    const { code, stderr } = await this.run(["mknod", "-m", "666", "/dev/kvm", "c", "10", "232"]);
    if (code !== 0) throw new Error(`${this.name}: /dev/kvm: ${stderr}`);
    await this.stopDaemon();
    await this.startDaemon();
  }

  /** Makes a loop device over an image until the scenario ends; `device` is its path on this host. */
  async attachLoop(image: string, device: string, format: ImageFormat): Promise<void> {
    this.#context.use(await LoopDevice.attach(this, image, device, format));
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
      this.#log.push(`${argv.join(" ")}: ${code} after ${took} s ${ran.stderr.trim()}`);
    }
    return ran;
  }

  /**
   * Runs virsh to its end.
   *
   * @returns what it printed, without white space at its ends.
   * @throws {Error} with virsh's words, when it fails.
   */
  async virsh(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(["virsh", ...args]);
    if (code !== 0) throw new Error(`${this.name}: virsh ${args.join(" ")}: ${code} ${stderr}`);
    return stdout.trim();
  }

  /** Starts vmferry on this host; its signals and its pid are those of the process there. */
  vmferry(options: Omit<VmferryOptions, "prefix">): HostVmferry {
    return this.#context.use(new HostVmferry({ ...options, prefix: this.prefix }));
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

  /** Every domain's state by its name: "running", "paused", "shut off". */
  async domains(): Promise<Map<string, string>> {
    const table = await this.virsh("list", "--all");
    const rows = table.split("\n").slice(2).map((row) => /^\s*\S+\s+(\S+)\s+(.+?)\s*$/.exec(row));
    return new Map(rows.flatMap((row) => row ? [[row[1]!, row[2]!]] : []));
  }

  /** Makes, starts and keeps a pool of the directory /var/lib/libvirt/images. */
  async definePool(name = "default", target = "/var/lib/libvirt/images"): Promise<void> {
    await this.virsh("pool-define-as", name, "dir", "--target", target);
    await this.virsh("pool-build", name);
    await this.virsh("pool-start", name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its nsenter would not see the end of a child that is stopped.
    if (this.#daemon) this.signalDaemon("SIGCONT");
    await this.#stdin.close().catch(() => {});
    await endChild(this.#child, 5000);
    await this.#stderr.ended;
    await this.#daemon?.child.status;
  }
}

async function assertInstalled(root: string): Promise<void> {
  for (const program of ["/usr/sbin/libvirtd", "/usr/bin/virsh"]) {
    if (await exists(`${root}${program}`)) continue;
    throw new Error(
      `There is no ${root}${program}, which this scenario needs: run tools/bootstrap.sh, or install ` +
        "libvirt-daemon-system and libvirt-clients",
    );
  }
}

/** The only child of a process, such as that which nsenter or unshare runs. */
export function firstChild(pid: number): number {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ");
  const child = Number(children[0]);
  if (!(child > 0)) throw new Error(`Process ${pid} has no child`);
  return child;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

function lastLines(text: string, lines: number): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
