import { messageOf, systemClock, withDeadline } from "../../../src/io/mod.ts";
import { QmpClient, QmpClosedError, type QmpEvent } from "../../../src/qmp/mod.ts";
import { GUEST_STATE, type Image } from "../guest/mod.ts";
import { machineType, qemuBinary } from "../pair/versions.ts";
import { endChild, Output } from "./output.ts";
import { EventRecord, poll } from "./waiting.ts";

/** How a disk is attached. */
/** `scsi-iothread`: a virtio-scsi controller with a thread of its own. */
export type DiskBus = "virtio-blk" | "ide" | "scsi" | "scsi-iothread";

/** A disk of a guest. */
export interface Disk {
  /** Its qdev id, which is its name for vmferry. */
  readonly id: string;
  readonly image: Image;
  /** Default `virtio-blk`. */
  readonly bus?: DiskBus;
  /** What of it is broken. Default nothing. */
  readonly broken?: BrokenSector;
  /** Of its format node. Default: QEMU's, which is `ignore`. */
  readonly discard?: "unmap";
}

/** A sector whose accesses fail with EIO, as on a medium that has gone bad. */
export interface BrokenSector {
  readonly sector: number;
  readonly iotype: "read" | "write";
  /** A write error of the guest stops it (`werror=stop`). Default false: it is told. */
  readonly stops?: boolean;
}

/** How a QEMU is started. */
export interface QemuOptions {
  /** Names its sockets and its part of the logs: `source`, `destination`. */
  readonly name: string;
  /** A short path: UNIX sockets are made in it. */
  readonly dir: string;
  /** In the order in which the BIOS sees them. */
  readonly disks: readonly Disk[];
  /** Waits for a migration (`-incoming defer`). */
  readonly incoming?: boolean;
  /** Does not start the guest (`-S`). */
  readonly paused?: boolean;
  /** Default 128. */
  readonly memoryMiB?: number;
  readonly machine?: string;
  readonly accel?: Accelerator;
  /** The executable; default `QEMU`, for an incoming one `QEMU_DEST`, from the environment. */
  readonly binary?: string;
  /** In front of the command, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Its standard error goes to `NAME.log` in its directory. Default: into the report of a failure. */
  readonly logged?: boolean;
  /** Further arguments. */
  readonly extra?: readonly string[];
}

export type Accelerator = "kvm" | "tcg";

/** `VMFERRY_ACCEL`, else KVM where /dev/kvm can be opened, else TCG. */
export function accelerator(): Accelerator {
  const wanted = Deno.env.get("VMFERRY_ACCEL");
  if (wanted === "kvm" || wanted === "tcg") return wanted;
  if (wanted) throw new Error(`VMFERRY_ACCEL is "${wanted}", expected "kvm" or "tcg"`);
  try {
    Deno.openSync("/dev/kvm", { read: true, write: true }).close();
    return "kvm";
  } catch {
    return "tcg";
  }
}

/** A real QEMU with two QMP sockets: one for vmferry, one that the test watches it by. */
export class Qemu implements AsyncDisposable {
  readonly name: string;
  /** The QMP socket that vmferry is given. */
  readonly qmpSocket: string;
  /** All QMP events since the start. */
  readonly events = new EventRecord<QmpEvent>();
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Output;
  readonly #watch: QmpClient;
  readonly #log: string[] = [];
  #ended = false;
  #endedAtMs = Infinity;

  /**
   * Starts a QEMU and waits until it answers.
   *
   * @throws {Error} with QEMU's own words when it ends instead.
   */
  static async start(options: QemuOptions): Promise<Qemu> {
    const watchPath = `${options.dir}/${options.name}.watch.sock`;
    const qmpSocket = `${options.dir}/${options.name}.qmp.sock`;
    // QEMU connects to us, so that there is nothing to ask for again and again.
    using listener = Deno.listen({ transport: "unix", path: watchPath });
    const [program, ...args] = [
      ...options.prefix ?? [],
      ...(options.logged
        ? ["sh", "-c", 'exec "$@" 2>>"$0"', `${options.dir}/${options.name}.log`]
        : []),
      options.binary ?? qemuBinary(options.incoming ? "dest" : "source"),
      ...qemuArguments(options, qmpSocket, watchPath),
    ];
    const child = new Deno.Command(program!, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const stderr = new Output(child.stderr);
    try {
      const gone = child.status.then(async ({ code }) => {
        await stderr.ended;
        throw new Error(`${options.name}: QEMU ended with ${code}: ${stderr.text.trim()}`);
      });
      const accepted = listener.accept();
      accepted.catch(() => {});
      const pipe = await withDeadline(
        systemClock,
        30_000,
        `${options.name}: QEMU's first sign of life`,
        Promise.race([accepted, gone]),
      );
      gone.catch(() => {});
      await Deno.remove(watchPath);
      const watch = await QmpClient.open(pipe, { greetingTimeoutMs: 30_000 });
      return new Qemu(options.name, qmpSocket, child, stderr, watch);
    } catch (error) {
      await endChild(child, 0);
      await stderr.ended;
      throw error;
    }
  }

  private constructor(
    name: string,
    qmpSocket: string,
    child: Deno.ChildProcess,
    stderr: Output,
    watch: QmpClient,
  ) {
    this.name = name;
    this.qmpSocket = qmpSocket;
    this.#child = child;
    this.#stderr = stderr;
    this.#watch = watch;
    watch.onEvent((event) => {
      this.#note(`event ${event.event} ${JSON.stringify(event.data)}`);
      this.events.add(event);
    });
    this.exited = child.status.then((status) => {
      this.#ended = true;
      this.#endedAtMs = Date.now();
      this.events.end(new Error(`${name}: QEMU ended with ${status.code}`));
      return status;
    });
  }

  /** How the process ended, once it has. */
  readonly exited: Promise<Deno.CommandStatus>;

  get pid(): number {
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** When it ended, ms since 1970 as its events have it; `Infinity` while it has not. */
  get endedAtMs(): number {
    return this.#endedAtMs;
  }

  /** What it has written to standard error so far. */
  get stderr(): string {
    return this.#stderr.text;
  }

  /** QEMU's stderr and what passed over the watching QMP connection, for a failure's report. */
  get logs(): { title: string; text: string }[] {
    return [
      { title: `${this.name}: QEMU's stderr`, text: this.#stderr.text },
      { title: `${this.name}: QMP`, text: this.#log.slice(-200).join("\n") },
    ];
  }

  /** Carries out a QMP command over the watching connection. */
  async execute<T>(command: string, args: object = {}): Promise<T> {
    // Looks at the guest's memory, again and again, would push out what matters.
    if (command !== "human-monitor-command") this.#note(`-> ${command} ${JSON.stringify(args)}`);
    try {
      return await this.#watch.executeUntyped(command, { ...args }) as T;
    } catch (error) {
      this.#note(`<- ${command}: ${messageOf(error)}`);
      // Its sockets go a moment before the process does.
      if (error instanceof QmpClosedError) await this.#end();
      throw error;
    }
  }

  /** Whether it is of this version, or of one after it. */
  atLeast(major: number, minor: number): boolean {
    return this.#watch.atLeast(major, minor);
  }

  /**
   * Whether QEMU has ended or is about to: whoever has seen its QMP connection close gets a `true`.
   */
  async gone(): Promise<boolean> {
    try {
      if (!this.#ended) await this.status();
    } catch (error) {
      if (!this.#ended) throw error;
    }
    return this.#ended;
  }

  /** The run state, as `query-status` tells it. */
  async status(): Promise<string> {
    return (await this.execute<{ status: string }>("query-status")).status;
  }

  /** A 32-bit number from the guest's memory. */
  async peek(address: number): Promise<number> {
    const text = await this.execute<string>("human-monitor-command", {
      "command-line": `xp /1wx 0x${address.toString(16)}`,
    });
    const word = text.match(/: 0x([0-9a-f]{8})/)?.[1];
    if (word === undefined) throw new Error(`Got "${text.trim()}", expected a word of memory`);
    return parseInt(word, 16);
  }

  /** The counter that the guest is writing. */
  async counter(): Promise<number> {
    return await this.peek(GUEST_STATE.counter);
  }

  /** Waits until the guest has counted to `least`; returns the counter then. */
  async waitCounter(least: number, timeoutMs = 60_000): Promise<number> {
    return await poll(`${this.name}: the guest to count to ${least}`, async () => {
      const counter = await this.counter();
      return counter >= least ? counter : undefined;
    }, timeoutMs);
  }

  /** Ends QEMU by `quit`, so that its images are whole. */
  async quit(): Promise<void> {
    if (!this.#ended) {
      await this.execute("quit").catch(() => {});
      await this.#end();
    }
    await this[Symbol.asyncDispose]();
  }

  /**
   * Stops the process (SIGSTOP) or lets it go on (SIGCONT): a QEMU that does not answer. SIGTERM: ends
   * it as its host's shutdown does, with a word in its log.
   */
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGTERM"): void {
    this.#child.kill(name);
  }

  /** Ends QEMU as a crash does. */
  async crash(): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.close();
    await endChild(this.#child, 5000);
    await this.#stderr.ended;
    await Deno.remove(this.qmpSocket).catch(() => {});
  }

  async #end(): Promise<void> {
    await withDeadline(systemClock, 30_000, `${this.name}: QEMU to end`, this.exited);
  }

  #note(line: string): void {
    if (this.#log.length > 5000) this.#log.splice(0, 2500);
    this.#log.push(`${new Date().toISOString().slice(11, 23)} ${line.slice(0, 500)}`);
  }
}

function qemuArguments(options: QemuOptions, qmpSocket: string, watchPath: string): string[] {
  const machine = options.machine ?? machineType();
  const disks = options.disks.flatMap((disk, index) => {
    const { path, format } = disk.image;
    const blockdev = {
      driver: format,
      "node-name": `${options.name}-${disk.id}`,
      file: fileOf(path, disk.broken),
      ...(disk.discard ? { discard: disk.discard } : {}),
    };
    return [
      "-blockdev",
      JSON.stringify(blockdev),
      ...deviceArguments(disk, index, `${options.name}-${disk.id}`, machine),
    ];
  });
  return [
    ...["-name", options.name, "-machine", machine, "-accel", options.accel ?? accelerator()],
    ...["-m", String(options.memoryMiB ?? 128), "-nodefaults", "-display", "none"],
    ...["-chardev", `file,id=serial,path=${options.dir}/${options.name}.serial`],
    ...["-serial", "chardev:serial"],
    ...["-chardev", `socket,id=qmp,path=${qmpSocket},server=on,wait=off`],
    ...["-mon", "chardev=qmp,mode=control"],
    ...["-chardev", `socket,id=watch,path=${watchPath}`],
    ...["-mon", "chardev=watch,mode=control"],
    ...disks,
    ...(options.incoming ? ["-incoming", "defer"] : []),
    ...(options.paused ? ["-S"] : []),
    ...(options.extra ?? []),
  ];
}

function fileOf(filename: string, broken: BrokenSector | undefined): object {
  const file = { driver: "file", filename };
  if (!broken) return file;
  const { sector, iotype } = broken;
  const error = { event: "none", errno: 5, sector, iotype };
  return { driver: "blkdebug", image: file, "inject-error": [error] };
}

function deviceArguments(disk: Disk, index: number, node: string, machine: string): string[] {
  const stops = disk.broken?.stops ? ",werror=stop" : "";
  const common = `id=${disk.id},drive=${node},bootindex=${index}${stops}`;
  switch (disk.bus ?? "virtio-blk") {
    case "virtio-blk":
      return ["-device", `virtio-blk-pci,${common}`];
    case "scsi":
      return [
        ...["-device", `virtio-scsi-pci,id=${disk.id}-controller`],
        ...["-device", `scsi-hd,${common},bus=${disk.id}-controller.0`],
      ];
    case "scsi-iothread":
      return [
        ...["-object", `iothread,id=${disk.id}-thread`, "-device"],
        `virtio-scsi-pci,id=${disk.id}-controller,iothread=${disk.id}-thread`,
        ...["-device", `scsi-hd,${common},bus=${disk.id}-controller.0`],
      ];
    case "ide": {
      // q35 has a port for each disk, i440FX two disks on each of two channels.
      const place = machine.includes("q35")
        ? `bus=ide.${index}`
        : `bus=ide.${index >> 1},unit=${index & 1}`;
      return ["-device", `ide-hd,${common},${place}`];
    }
  }
}
