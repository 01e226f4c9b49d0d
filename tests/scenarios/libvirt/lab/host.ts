/**
 * A host with a libvirt of its own, in namespaces: mounts, network, hostname, IPC and processes. Its
 * /run, /etc/libvirt, /var/lib/libvirt, /var/cache/libvirt and /var/log/libvirt are its own; it ends
 * with everything in it when its first process ends, which is when the scenario's process does.
 *
 * @module
 */
import { systemClock, withDeadline } from "../../../../src/io/mod.ts";
import type { ImageFormat } from "../../guest/mod.ts";
import { beginHost, firstChild, LabHost, type LabHostOptions } from "../../support/lab_host.ts";
import { Output } from "../../support/output.ts";
import type { ScenarioContext } from "../../support/scenario.ts";
import { poll } from "../../support/waiting.ts";
import { HOST_INIT, LIBVIRTD_CONF, PROJECT, QEMU_CONF } from "./host_files.ts";
import { LoopDevice } from "./loop_device.ts";

/** How a host is made. */
export interface LibvirtHostOptions extends LabHostOptions {
  /** The directory of an unpacked distribution that the host runs. Default: the machine's. */
  readonly root?: string;
  /** More lines for libvirt's qemu.conf. */
  readonly qemuConf?: readonly string[];
}

/** Each is mounted over a directory of libvirt's, see {@link HOST_INIT}. */
const OWN = ["etc", "lib", "cache", "log"];

export class LibvirtHost extends LabHost {
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
    const begun = await beginHost(options, HOST_INIT, [
      ...[options.name, dir, options.root ?? "", PROJECT, Deno.env.get("HOME") ?? "/root"],
    ]);
    const host = context.use(new LibvirtHost(context, options, begun));
    await host.startDaemon();
    return host;
  }

  override get logs(): { title: string; text: string }[] {
    const daemon = this.#daemon?.stderr.text ?? "";
    return [
      ...super.logs,
      { title: `${this.name}: libvirtd's stderr`, text: lastLines(daemon, 60) },
    ];
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
    this.context.use(await LoopDevice.attach(this, image, device, format));
  }

  /**
   * Runs virsh to its end.
   *
   * @returns what it printed, without white space at its ends.
   * @throws {Error} with virsh's words, when it fails.
   */
  async virsh(...args: readonly string[]): Promise<string> {
    return await this.must("virsh", ...args);
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

  override async [Symbol.asyncDispose](): Promise<void> {
    // Its nsenter would not see the end of a child that is stopped.
    if (this.#daemon) this.signalDaemon("SIGCONT");
    await super[Symbol.asyncDispose]();
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

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

function lastLines(text: string, lines: number): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
