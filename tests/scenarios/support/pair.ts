import {
  differenceOutsideRing,
  type GuestOptions,
  type Image,
  type ImageFormat,
  makeEmptyImage,
  makeImage,
  type Ring,
  verifyRing,
} from "../guest/mod.ts";
import {
  filesIn,
  hasNbdServer,
  leftInQemu,
  processesOf,
  type QemuState,
  qemuState,
} from "./host.ts";
import type { Network } from "./network.ts";
import type { BrokenSector, Disk, DiskBus, Qemu } from "./qemu.ts";
import { QmpGate } from "./qmp_gate.ts";
import { assertNone, type ScenarioContext } from "./scenario.ts";
import { runVmferry, type Vmferry } from "./vmferry.ts";

export const MiB = 1024 * 1024;

/** A disk on both sides. Sizes in bytes. */
export interface PairDisk {
  readonly from: ImageFormat;
  readonly to: ImageFormat;
  readonly bus?: DiskBus;
  /** What of the source's or the destination's is broken. */
  readonly brokenFrom?: BrokenSector;
  readonly brokenTo?: BrokenSector;
  /** Default: as the source's. */
  readonly destinationBytes?: number;
  /** Its id at the destination; `null`: it is not there. Default: as at the source. */
  readonly destinationId?: string | null;
}

export interface PairOptions {
  readonly disks?: readonly PairDisk[];
  /** Size of every disk of the source, bytes. Default 64 MiB. */
  readonly bytes?: number;
  readonly guest?: Partial<GuestOptions>;
  readonly memoryMiB?: number;
  /** The source is not running when the migration begins. */
  readonly paused?: boolean;
  /** The destination waits for a migration. Default true. */
  readonly incoming?: boolean;
  /** Folders for images of the destination, by the disk's number. Default: the scenario's. */
  readonly destinationDirs?: { readonly [disk: number]: string };
  /** Folder for images and sockets; a short path. Default: the scenario's. */
  readonly dir?: string;
  /** Folder for vmferry's run directories; a short path. Default: as `dir`. */
  readonly runDirs?: string;
  /** Where the two ends run. Default: both here. */
  readonly network?: Network;
  /** vmferry reaches the QEMUs through {@link Pair.gates}, which costs time. Default false. */
  readonly gated?: boolean;
  readonly sourceExtra?: readonly string[];
  readonly destinationExtra?: readonly string[];
}

const DISK_BYTES = 64 * MiB;
const MEMORY_MIB = 128;
const RING: Ring = { start: 2048, length: 8192, runId: 0x5eed_0001_0000_0001n };
const TWO_DISKS: readonly PairDisk[] = [{ from: "raw", to: "raw" }, { from: "raw", to: "qcow2" }];

/** Two QEMUs, one with a guest that counts on its disks, and what is left of them afterwards. */
export class Pair {
  readonly context: ScenarioContext;
  readonly source: Qemu;
  #destination: Qemu;
  readonly #options: PairOptions;
  readonly ring: Ring;
  /** Mode 0600, for `--secret-file`. */
  readonly secretFile: string;
  #gates: { readonly source: QmpGate; readonly destination: QmpGate } | undefined;
  readonly #dir: string;
  readonly #from: readonly Image[];
  readonly #to: readonly Image[];
  readonly #before: { readonly source: QemuState; destination: QemuState };
  readonly #ferries: Vmferry[] = [];
  #wasPaused = false;
  #network: Network | undefined;

  /** Makes the images, starts both QEMUs, waits until the guest counts. */
  static async start(context: ScenarioContext, options: PairOptions = {}): Promise<Pair> {
    const dir = options.dir ?? context.dir;
    const disks = options.disks ?? TWO_DISKS;
    const bytes = options.bytes ?? DISK_BYTES;
    const ring = options.guest?.ring ?? RING;
    const guest: GuestOptions = {
      ring,
      disks: Math.min(2, disks.length),
      waitUs: 1000,
      ramPages: 2048,
      ramStep: 2,
      ...options.guest,
    };
    const from = disks.map((d, i) => image(dir, `source-vd${i}`, d.from));
    const to = disks.map((d, i): Image => ({
      path: `${options.destinationDirs?.[i] ?? dir}/dest-vd${i}.${d.to}`,
      format: d.to,
    }));
    for (const [i, path] of from.entries()) {
      await makeImage(path, { bytes, seed: i + 1, ...(i === 0 ? { guest } : {}) });
    }
    const memoryMiB = options.memoryMiB ?? MEMORY_MIB;
    const source = await context.qemu({
      dir,
      name: "source",
      disks: from.map((path, i) => attached(`vd${i}`, path, disks[i]!.bus, disks[i]!.brokenFrom)),
      memoryMiB,
      prefix: options.network?.source.prefix ?? [],
      extra: options.sourceExtra ?? [],
    });
    const destination = await startDestination(context, options, to);
    await source.waitCounter(200);
    if (options.paused) await source.execute("stop");
    const secretFile = `${dir}/secret`;
    await Deno.writeTextFile(secretFile, `${crypto.randomUUID()}\n`, { mode: 0o600 });
    for (const side of ["source", "dest"]) await Deno.mkdir(`${dir}/run-${side}`);
    const before = { source: await qemuState(source), destination: await qemuState(destination) };
    const pair = new Pair(
      context,
      options,
      source,
      destination,
      ring,
      secretFile,
      from,
      to,
      before,
    );
    pair.#wasPaused = options.paused ?? false;
    pair.#network = options.network;
    if (options.gated) {
      pair.#gates = {
        source: context.use(new QmpGate(`${dir}/source.gate.sock`, source.qmpSocket)),
        destination: context.use(new QmpGate(`${dir}/dest.gate.sock`, destination.qmpSocket)),
      };
    }
    return pair;
  }

  private constructor(
    context: ScenarioContext,
    options: PairOptions,
    source: Qemu,
    destination: Qemu,
    ring: Ring,
    secretFile: string,
    from: readonly Image[],
    to: readonly Image[],
    before: { source: QemuState; destination: QemuState },
  ) {
    this.context = context;
    this.#options = options;
    this.#dir = options.dir ?? context.dir;
    this.source = source;
    this.#destination = destination;
    this.ring = ring;
    this.secretFile = secretFile;
    this.#from = from;
    this.#to = to;
    this.#before = before;
  }

  get destination(): Qemu {
    return this.#destination;
  }

  /** Ends the destination's QEMU and starts a new one with empty disks, as for another try. */
  async renewDestination(): Promise<void> {
    await this.#destination.quit();
    this.#destination = await startDestination(this.context, this.#options, this.#to);
    this.#before.destination = await qemuState(this.#destination);
  }

  /** Between vmferry and each QEMU: keeps back commands, to stop a migration where it is. */
  get gates(): { readonly source: QmpGate; readonly destination: QmpGate } {
    if (!this.#gates) throw new Error("This pair was not started with gated: true");
    return this.#gates;
  }

  /** Starts `vmferry receive` on a free port. */
  receive(extra: readonly string[] = []): Vmferry {
    const host = this.#network?.destination;
    return this.#start("receive", host?.prefix, "dest", [
      ...["--qmp", this.#gates?.destination.path ?? this.destination.qmpSocket],
      ...["--listen", `tcp://${host?.address ?? "127.0.0.1"}:0`, ...host ? ["--insecure"] : []],
      ...this.#secretUnlessGiven(extra),
    ]);
  }

  /** Starts `vmferry receive` with nothing of this pair's but its QEMU and its run directory. */
  receiveWith(args: readonly string[], prefix: readonly string[] = []): Vmferry {
    const own = [...this.#network?.destination.prefix ?? [], ...prefix];
    return this.#start("receive", own, "dest", ["--qmp", this.destination.qmpSocket, ...args]);
  }

  /** Starts `vmferry migrate` likewise. */
  migrateWith(args: readonly string[], prefix: readonly string[] = []): Vmferry {
    const own = [...this.#network?.source.prefix ?? [], ...prefix];
    return this.#start("migrate", own, "source", ["--qmp", this.source.qmpSocket, ...args]);
  }

  /** Starts `vmferry migrate`. */
  migrate(address: string, extra: readonly string[] = []): Vmferry {
    const host = this.#network?.source;
    return this.#start("migrate", host?.prefix, "source", [
      ...[
        "--qmp",
        this.#gates?.source.path ?? this.source.qmpSocket,
        ...host ? ["--insecure"] : [],
      ],
      ...this.#secretUnlessGiven(extra),
      address,
    ]);
  }

  /** Starts `vmferry recover` on one side. */
  recover(side: "source" | "dest", extra: readonly string[] = []): Vmferry {
    const host = side === "source" ? this.#network?.source : this.#network?.destination;
    const qemu = side === "source" ? this.source : this.destination;
    const gate = this.#gates?.[side === "source" ? "source" : "destination"];
    return this.#start("recover", host?.prefix, side, [
      ...["--qmp", gate?.path ?? qemu.qmpSocket, ...host ? ["--insecure"] : []],
      ...this.#secretUnlessGiven(extra),
    ]);
  }

  /** The guest was paused by somebody: it is to arrive so. */
  nowPaused(): void {
    this.#wasPaused = true;
  }

  /** Changes the limits of the migration that runs: `bandwidth=1M`. */
  async set(...limits: readonly string[]): Promise<void> {
    const args = ["set", "--run-dir", this.runDir("source"), ...limits];
    const { code, stderr } = await runVmferry(args);
    if (code !== 0) throw new Error(`vmferry ${args.join(" ")}: ${stderr}`);
  }

  /** Where the sockets of an end are made. */
  runDir(side: "source" | "dest"): string {
    return `${this.#options.runDirs ?? this.#dir}/run-${side}`;
  }

  #start(
    command: string,
    prefix: readonly string[] | undefined,
    side: "source" | "dest",
    args: readonly string[],
  ): Vmferry {
    const own = args.includes("--run-dir") ? [] : ["--run-dir", this.runDir(side)];
    const ferry = this.context.vmferry({
      name: command,
      prefix: prefix ?? [],
      args: [command, "--json", ...own, ...args],
    });
    this.#ferries.push(ferry);
    return ferry;
  }

  #secretUnlessGiven(extra: readonly string[]): string[] {
    if (extra.includes("--secret-file")) return [...extra];
    return ["--secret-file", this.secretFile, ...extra];
  }

  /** How long the guest stood still, from the QEMUs' own clocks, ms. */
  async pauseMs(): Promise<number> {
    const [stop, resume] = await Promise.all([
      this.source.events.waitFor("STOP at the source", (e) => e.event === "STOP"),
      this.destination.events.waitFor("RESUME at the destination", (e) => e.event === "RESUME"),
    ]);
    return resume.timestampMs - stop.timestampMs;
  }

  /**
   * The guest is at the destination and only there, has gone on counting, every write of it is on
   * the destination's disks, the rest of the disks is the same, and nothing of ours is left.
   * Ends both QEMUs.
   */
  async assertArrived(): Promise<void> {
    const { source, destination } = this;
    const expected = this.#wasPaused ? "paused" : "running";
    const faults: string[] = [];
    const status = await destination.status();
    if (status !== expected) faults.push(`The destination is ${status}, expected ${expected}`);
    const arrived = await destination.counter();
    if (this.#wasPaused) await destination.execute("cont");
    const last = await destination.waitCounter(arrived + 200);
    if (!source.ended) {
      const sourceStatus = await source.status();
      if (sourceStatus !== "postmigrate") {
        faults.push(`The source is ${sourceStatus}, expected postmigrate`);
      }
      const stood = await source.counter();
      if (stood > arrived) faults.push(`The source counted to ${stood}, it arrived at ${arrived}`);
      if (await hasNbdServer(source, this.#dir)) {
        faults.push("source: an NBD server is left");
      }
      faults.push(...leftInQemu("source", this.#before.source, await qemuState(source)));
    }
    if (await hasNbdServer(destination, this.#dir)) {
      faults.push("dest: an NBD server is left");
    }
    faults.push(...leftInQemu("dest", this.#before.destination, await qemuState(destination)));
    faults.push(...await this.#leftOnHost());
    assertNone(faults);

    await Promise.all([source.quit(), destination.quit()]);
    for (const [i, to] of this.#to.entries()) {
      const from = this.#from[i]!;
      if (i < 2) {
        const report = await verifyRing(to, this.ring, i);
        assertNone(report.faults);
        if (report.highest < last - 2) {
          throw new Error(`Disk ${i} ends at ${report.highest}, expected ${last - 2} or more`);
        }
      }
      const difference = await differenceOutsideRing(from, to, this.ring);
      if (difference) throw new Error(difference);
    }
  }

  /** The guest still runs at the source (or stands there, if it stood), and nothing of ours is left. */
  async assertStillAtSource(
    options: {
      readonly destinationGone?: boolean;
      readonly receiving?: boolean;
      /** The state that the guest stands in for reasons of its own. Default: as it was. */
      readonly status?: string;
    } = {},
  ): Promise<void> {
    const { source, destination } = this;
    const faults: string[] = [];
    const expected = options.status ?? (this.#wasPaused ? "paused" : "running");
    const status = await source.status();
    if (status !== expected) faults.push(`The source is ${status}, expected ${expected}`);
    if (expected === "running") await source.waitCounter(await source.counter() + 100);
    faults.push(...leftInQemu("source", this.#before.source, await qemuState(source)));
    if (!options.destinationGone) {
      const there = await destination.status();
      if (there === "running") faults.push("The destination runs the guest too");
      if (await hasNbdServer(destination, this.#dir)) {
        faults.push("dest: an NBD server is left");
      }
      faults.push(...leftInQemu("dest", this.#before.destination, await qemuState(destination)));
    }
    // A receive that still waits has its folder and its process.
    if (!options.receiving) faults.push(...await this.#leftOnHost());
    assertNone(faults);
  }

  /** The guest went with the source's QEMU; the destination is as before, or gone, and nothing is left. */
  async assertLost(): Promise<void> {
    const { destination } = this;
    const faults = await this.#leftOnHost();
    if (!destination.ended) {
      const status = await destination.status();
      if (status === "running") faults.push("The destination runs what was never handed over");
      if (await hasNbdServer(destination, this.#dir)) faults.push("dest: an NBD server is left");
      faults.push(...leftInQemu("dest", this.#before.destination, await qemuState(destination)));
    }
    assertNone(faults);
  }

  async #leftOnHost(): Promise<string[]> {
    const faults: string[] = [];
    for (const side of ["source", "dest"] as const) {
      for (const file of await filesIn(this.runDir(side))) {
        faults.push(`${side}: left file ${file}`);
      }
    }
    for (const ferry of this.#ferries) {
      for (const process of await processesOf(ferry.mark)) {
        faults.push(`${ferry.name}: left process ${process}`);
      }
      for (const line of ferry.strayLines) faults.push(`${ferry.name}: no JSON event: ${line}`);
    }
    return faults;
  }
}

async function startDestination(
  context: ScenarioContext,
  options: PairOptions,
  images: readonly Image[],
): Promise<Qemu> {
  const disks = options.disks ?? TWO_DISKS;
  const arriving: Disk[] = [];
  for (const [i, path] of images.entries()) {
    const disk = disks[i]!;
    if (disk.destinationId === null) continue;
    await Deno.remove(path.path).catch(() => {});
    await makeEmptyImage(path, disk.destinationBytes ?? options.bytes ?? DISK_BYTES);
    arriving.push(attached(disk.destinationId ?? `vd${i}`, path, disk.bus, disk.brokenTo));
  }
  return await context.qemu({
    dir: options.dir ?? context.dir,
    name: "dest",
    disks: arriving,
    incoming: options.incoming ?? true,
    memoryMiB: options.memoryMiB ?? MEMORY_MIB,
    prefix: options.network?.destination.prefix ?? [],
    extra: options.destinationExtra ?? [],
  });
}

function image(dir: string, name: string, format: ImageFormat): Image {
  return { path: `${dir}/${name}.${format}`, format };
}

function attached(
  id: string,
  image: Image,
  bus: DiskBus | undefined,
  broken: BrokenSector | undefined,
): Disk {
  return { id, image, ...(bus ? { bus } : {}), ...(broken ? { broken } : {}) };
}
