import { describeHost } from "../../../src/cli/host/describe_host.ts";
import { createFile, siteQemu } from "../../../src/cli/host/launch_host.ts";
import { qmpServers } from "../../../src/cli/host/find_qemu.ts";
import { runProgram, startProgram } from "../../../src/cli/host/run_program.ts";
import { silentLogger, systemClock, writeAll } from "../../../src/io/mod.ts";
import {
  LaunchDestination,
  type LaunchHost,
  type LaunchRecord,
  type LaunchTrust,
  type StartedQemu,
} from "../../../src/launch/mod.ts";
import { openChannel, type Params, RpcPeer } from "../../../src/rpc/mod.ts";
import { connectUnix } from "../../../src/transport/mod.ts";
import type { Session } from "../../../src/tunnel/mod.ts";
import { sessionPair } from "../../tunnel/session_pair.ts";

/** Name of the QEMU that the tests start. */
export const QEMU = "qemu-system-x86_64";

/** vmferry was killed: nothing more happens in that process. */
export class Killed extends Error {}

/** A process that ends at its Nth record, counted from 0: `half` says whether it is still written. */
export interface Kill {
  readonly at: number;
  readonly half: "before" | "after";
}

/** A launch on this host, in a directory of its own, and its source. */
export class LaunchLab implements AsyncDisposable {
  readonly dir: string;
  readonly host: LaunchHost;
  readonly destination: LaunchDestination;
  readonly records: LaunchRecord[] = [];
  readonly warnings: string[] = [];
  readonly source: Session;
  readonly rpc: RpcPeer;
  /** What QEMU was started as. */
  qemu: StartedQemu | undefined;
  /** Takes over. */
  onStarted: () => Promise<string> = () => Promise.resolve("vmferry recover");
  /** The process is to be killed there. */
  kill: Kill | undefined;
  isDead = false;
  /** Other launches that make the same QMP socket. */
  rivals: readonly string[] = [];
  /** All other launches under way. */
  others: readonly LaunchRecord[] = [];
  readonly #sessions: readonly Session[];

  static async make(
    trust: LaunchTrust = "login",
    change: (host: LaunchHost, dir: string) => LaunchHost = (host) => host,
  ): Promise<LaunchLab> {
    const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "vmferry-launch-" }));
    const { connecting, listening } = await sessionPair();
    return new LaunchLab(trust, dir, change(labHost(dir), dir), [connecting, listening]);
  }

  private constructor(
    trust: LaunchTrust,
    dir: string,
    host: LaunchHost,
    sessions: readonly [Session, Session],
  ) {
    this.dir = dir;
    this.host = host;
    const alive = () => {
      if (this.isDead) throw new Killed();
    };
    const mortal: LaunchHost = {
      ...host,
      run: (...call) => Promise.resolve().then(alive).then(() => host.run(...call)),
      start: (argv) => {
        alive();
        return host.start(argv);
      },
      createFile: (path) => Promise.resolve().then(alive).then(() => host.createFile(path)),
    };
    this.source = sessions[0];
    this.#sessions = sessions;
    this.destination = new LaunchDestination({
      ...{ host: mortal, trust },
      journal: {
        write: async (record) => {
          await Promise.resolve().then(alive);
          const isLast = this.records.length === this.kill?.at;
          if (isLast) this.isDead = true;
          if (isLast && this.kill?.half === "before") throw new Killed();
          this.records.push(record);
          if (isLast) throw new Killed();
        },
        rivals: () => Promise.resolve(this.rivals),
        others: () => Promise.resolve(this.others),
      },
      claimed: () => Promise.resolve(),
      started: (qemu) => {
        this.qemu = qemu;
        return this.onStarted();
      },
      report: (event) => {
        if (event.event === "warning") this.warnings.push(event.message);
      },
    });
    this.destination.serve(sessions[1]);
    this.rpc = new RpcPeer(this.source.rpc, {
      ...{ clock: systemClock, log: silentLogger, handlers: {} },
      onFault: (error) => this.source.abort(error.message, "protocol-error"),
    });
  }

  /** The last record. */
  get record(): LaunchRecord {
    return this.records.at(-1)!;
  }

  /** A launch of a small QEMU with one disk. */
  params(change: Partial<Params<"prepareLaunch">> = {}): Params<"prepareLaunch"> {
    const { dir } = this;
    return {
      migration: "m1",
      guest: { name: "vm 1", uuid: null },
      directories: [`${dir}/run`],
      images: [image("vd0", `${dir}/images/vd 0.qcow2`)],
      copies: [],
      reuse: [],
      start: this.start(),
      ...change,
    };
  }

  /** The start of it. */
  start(more: readonly string[] = []): Params<"prepareLaunch">["start"] {
    const { dir } = this;
    const qmp = `${dir}/run/qmp.sock`;
    return {
      argv: [
        ...[QEMU, "-machine", "q35,accel=tcg", "-m", "64M", "-display", "none", "-nodefaults"],
        ...["-name", "vm 1", "-blockdev"],
        `driver=qcow2,node-name=vd0,file.driver=file,file.filename=${dir}/images/vd 0.qcow2`,
        ...["-device", "virtio-blk-pci,drive=vd0", "-qmp", `unix:${qmp},server=on,wait=off`],
        ...["-pidfile", `${dir}/run/qemu.pid`, ...more, "-incoming", "defer"],
      ],
      ...{
        cwd: dir,
        environment: {},
        user: null,
        owner: null,
        qmp,
        manager: "daemon",
        persist: false,
      },
    };
  }

  async prepare(params = this.params()): Promise<readonly string[]> {
    const { created } = await this.rpc.call("prepareLaunch", params, { timeoutMs: 30_000 });
    return created;
  }

  async send(channel: string, bytes: Uint8Array): Promise<void> {
    const stream = await openChannel(this.source, this.rpc, channel);
    try {
      await writeAll(stream, bytes);
      await stream.closeWrite();
      while (await stream.read(new Uint8Array(64)) !== null);
    } finally {
      stream.close();
    }
  }

  async launch() {
    return await this.rpc.call("startLaunch", { migration: "m1" }, { timeoutMs: 60_000 });
  }

  /** Every file under the directory, with its length and mode. */
  async files(): Promise<string[]> {
    const argv = ["find", this.dir, "-mindepth", "1", "-printf", "%P %y %s %m\n"];
    const { stdout } = await runProgram(argv, { timeoutMs: 10_000 });
    return stdout.split("\n").filter((line) => line !== "").sort();
  }

  /** A client that QEMU's QMP socket serves. */
  async greeted(): Promise<Disposable> {
    const client = await Deno.connect({ transport: "unix", path: this.qemu!.qmp });
    await client.read(new Uint8Array(4096));
    return client;
  }

  /** The pid of the QEMU of this directory. */
  async pid(): Promise<number | undefined> {
    const argv = ["pgrep", "-f", `^[^ ]*${QEMU} .*${this.dir}/`];
    const { stdout } = await runProgram(argv, { timeoutMs: 10_000 });
    return stdout === "" ? undefined : Number(stdout.split("\n")[0]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.abort("the test is over", "stopped");
    await Promise.all(this.#sessions.map((session) => session.close()));
    const pid = await this.pid();
    if (pid !== undefined) Deno.kill(pid, "SIGKILL");
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** A qcow2 image of 1 MiB. */
export function image(name: string, path: string): Params<"prepareLaunch">["images"][number] {
  return {
    ...{ name, path, format: "qcow2", sizeBytes: 1 << 20, clusterBytes: null, compat: null },
    ...{ extendedL2: false, lazyRefcounts: false, allocated: false, backing: null, mode: 0o640 },
  };
}

/** This host, with its own directories. */
export function labHost(dir: string): LaunchHost {
  return {
    run: runProgram,
    start: startProgram,
    siteQemu: (of) => siteQemu(of, silentLogger),
    describeHost: describeHost(silentLogger),
    connectUnix,
    serversOf: (path) => qmpServers(runProgram, path),
    createFile,
    user: { uid: Deno.uid()!, name: "root" },
    stateDir: `${dir}/lib`,
    logDir: `${dir}/log`,
    home: "/root",
    wallMs: () => Date.now(),
    clock: systemClock,
    log: silentLogger,
  };
}

/** A file with this content that the source sends over the channel `file-0`. */
export async function copyOf(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Params<"prepareLaunch">["copies"][number]> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const sizeBytes = bytes.length;
  return { name: "code", path, channel: "file-0", sizeBytes, sha256, mode: 0o644 };
}
