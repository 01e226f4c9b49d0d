import type { Network } from "../support/network.ts";
import { PairFerries } from "./pair_ferries.ts";
import { PairMachines } from "./pair_machines.ts";
import type { PairOptions, PairSide } from "./pair_options.ts";
import {
  assertArrived,
  assertLost,
  assertStillAtSource,
  type PairEnd,
  type StillAtSource,
} from "./pair_outcome.ts";
import type { Qemu } from "../support/qemu.ts";
import { QmpGate } from "../support/qmp_gate.ts";
import type { ScenarioContext } from "../support/scenario.ts";
import { runVmferry, type Vmferry } from "../support/vmferry.ts";

interface Gates {
  readonly source: QmpGate;
  readonly destination: QmpGate;
}

/** Two QEMUs, one with a guest that counts on its disks, and what is left of them afterwards. */
export class Pair {
  readonly #machines: PairMachines;
  readonly #ferries: PairFerries;
  readonly #gates: Gates | undefined;
  readonly #network: Network | undefined;
  #wasPaused: boolean;

  /** Makes the images, starts both QEMUs, waits until the guest counts. */
  static async start(context: ScenarioContext, options: PairOptions = {}): Promise<Pair> {
    const machines = await PairMachines.start(context, options);
    const ferries = await PairFerries.prepare(context, options);
    const gates = options.gated
      ? makeGates(context, options.dir ?? context.dir, machines)
      : undefined;
    return new Pair(machines, ferries, gates, options);
  }

  private constructor(
    machines: PairMachines,
    ferries: PairFerries,
    gates: Gates | undefined,
    options: PairOptions,
  ) {
    this.#machines = machines;
    this.#ferries = ferries;
    this.#gates = gates;
    this.#network = options.network;
    this.#wasPaused = options.paused ?? false;
  }

  get source(): Qemu {
    return this.#machines.source;
  }

  get destination(): Qemu {
    return this.#machines.destination;
  }

  /** Paths of the source's images, disk by disk. */
  get sourceImages(): string[] {
    return this.#machines.images.from.map(({ path }) => path);
  }

  /** Paths of the destination's images, disk by disk. */
  get destinationImages(): string[] {
    return this.#machines.images.to.map(({ path }) => path);
  }

  /** Mode 0600, for `--secret-file`. */
  get secretFile(): string {
    return this.#ferries.secretFile;
  }

  /** Ends the destination's QEMU and starts a new one with empty disks, as for another try. */
  async renewDestination(): Promise<void> {
    await this.#machines.renewDestination();
  }

  /** Between vmferry and each QEMU: keeps back commands, to stop a migration where it is. */
  get gates(): Gates {
    if (!this.#gates) throw new Error("This pair was not started with gated: true");
    return this.#gates;
  }

  /** Starts `vmferry receive` on a free port. */
  receive(extra: readonly string[] = []): Vmferry {
    const host = this.#network?.destination;
    return this.#ferries.start("receive", host?.prefix, "dest", [
      ...["--qmp", this.#gates?.destination.path ?? this.destination.qmpSocket],
      ...["--listen", `tcp://${host?.address ?? "127.0.0.1"}:0`, ...host ? ["--insecure"] : []],
      ...this.#ferries.withSecret(extra),
    ]);
  }

  /** Starts `vmferry receive` with nothing of this pair's but its QEMU and its run directory. */
  receiveWith(args: readonly string[], prefix: readonly string[] = []): Vmferry {
    const own = [...this.#network?.destination.prefix ?? [], ...prefix];
    return this.#ferries.start("receive", own, "dest", [
      "--qmp",
      this.destination.qmpSocket,
      ...args,
    ]);
  }

  /** Starts `vmferry migrate` likewise. */
  migrateWith(args: readonly string[], prefix: readonly string[] = []): Vmferry {
    const own = [...this.#network?.source.prefix ?? [], ...prefix];
    return this.#ferries.start("migrate", own, "source", ["--qmp", this.source.qmpSocket, ...args]);
  }

  /** Starts `vmferry migrate`. */
  migrate(address: string, extra: readonly string[] = []): Vmferry {
    const host = this.#network?.source;
    return this.#ferries.start("migrate", host?.prefix, "source", [
      ...[
        "--qmp",
        this.#gates?.source.path ?? this.source.qmpSocket,
        ...host ? ["--insecure"] : [],
      ],
      ...this.#ferries.withSecret(extra),
      address,
    ]);
  }

  /** Starts `vmferry recover` on one side. */
  recover(side: PairSide, extra: readonly string[] = []): Vmferry {
    const host = side === "source" ? this.#network?.source : this.#network?.destination;
    const qemu = side === "source" ? this.source : this.destination;
    const gate = this.#gates?.[side === "source" ? "source" : "destination"];
    return this.#ferries.start("recover", host?.prefix, side, [
      ...["--qmp", gate?.path ?? qemu.qmpSocket, ...host ? ["--insecure"] : []],
      ...this.#ferries.withSecret(extra),
    ]);
  }

  /** The guest was paused by somebody: it is to arrive so. */
  nowPaused(): void {
    this.#wasPaused = true;
  }

  /** The guest was let run by somebody: it is to arrive so. */
  nowRuns(): void {
    this.#wasPaused = false;
  }

  /** Changes the limits of the migration that runs: `bandwidth=1M`. */
  async set(...limits: readonly string[]): Promise<void> {
    const args = ["set", "--run-dir", this.runDir("source"), ...limits];
    const { code, stderr } = await runVmferry(args);
    if (code !== 0) throw new Error(`vmferry ${args.join(" ")}: ${stderr}`);
  }

  /** Where the sockets of an end are made. */
  runDir(side: PairSide): string {
    return this.#ferries.runDir(side);
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
    await assertArrived(this.#end());
  }

  /**
   * The guest still runs at the source (or stands there, if it stood), and nothing of ours is left.
   */
  async assertStillAtSource(options: StillAtSource = {}): Promise<void> {
    await assertStillAtSource(this.#end(), options);
  }

  /**
   * The guest went with the source's QEMU; the destination is as before, or gone, and nothing is
   * left.
   */
  async assertLost(): Promise<void> {
    await assertLost(this.#end());
  }

  #end(): PairEnd {
    return { machines: this.#machines, ferries: this.#ferries, wasPaused: this.#wasPaused };
  }
}

function makeGates(context: ScenarioContext, dir: string, machines: PairMachines): Gates {
  const { source, destination } = machines;
  return {
    source: context.use(new QmpGate(`${dir}/source.gate.sock`, source.qmpSocket)),
    destination: context.use(new QmpGate(`${dir}/dest.gate.sock`, destination.qmpSocket)),
  };
}
