import { describeHost } from "../../../src/cli/host/describe_host.ts";
import { createFile } from "../../../src/cli/host/launch_host.ts";
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

/** A launch on this host, in a directory of its own, and its source. */
export class LaunchLab implements AsyncDisposable {
  readonly dir: string;
  readonly host: LaunchHost;
  readonly destination: LaunchDestination;
  readonly records: LaunchRecord[] = [];
  readonly source: Session;
  readonly rpc: RpcPeer;
  /** What QEMU was started as. */
  qemu: StartedQemu | undefined;
  /** Takes over. */
  onStarted: () => Promise<string> = () => Promise.resolve("vmferry recover");
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
    this.source = sessions[0];
    this.#sessions = sessions;
    this.destination = new LaunchDestination({
      ...{ host, trust },
      journal: {
        write: (record) => {
          this.records.push(record);
          return Promise.resolve();
        },
      },
      claimed: () => Promise.resolve(),
      started: (qemu) => {
        this.qemu = qemu;
        return this.onStarted();
      },
      report: () => {},
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
      ...{ cwd: dir, environment: {}, user: null, qmp, manager: "daemon", persist: false },
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
    describeHost: describeHost(silentLogger),
    connectUnix,
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
