import { delay, systemClock } from "../../../../src/io/mod.ts";
import {
  type BusyGuestOptions,
  busySector,
  type BusyState,
  busyState,
  makeEmptyImage,
} from "../../guest/mod.ts";
import { machineType, qemuBinary, qemuMajor } from "../../pair/versions.ts";
import { Network } from "../../support/network.ts";
import { type Accelerator, accelerator, Qemu } from "../../support/qemu.ts";
import { QmpGate } from "../../support/qmp_gate.ts";
import { assertExit, type ScenarioContext } from "../../support/scenario.ts";
import type { JsonEvent, Vmferry } from "../../support/vmferry.ts";
import { poll } from "../../support/waiting.ts";

const MiB = 1024 * 1024;
/** The guest's disk, bytes: its boot sector, and what a writing guest goes round. */
const DISK = 64 * MiB;

/** How a busy pair is made. */
export interface BusyPairOptions {
  /** Names its directory. */
  readonly name: string;
  /** The first sector of the guest's disk, see `busySector` and `writerSector`. */
  readonly sector: Uint8Array;
  readonly memoryMiB?: number;
  /** Random bytes of the source's disk, from where to where. Default: none. */
  readonly fill?: { readonly from: number; readonly to: number };
  /** Default: {@link busyAccelerator}. */
  readonly accel?: Accelerator;
  /** Entries of the dirty ring of the source's KVM. Default: none. */
  readonly dirtyRing?: number;
  /** A gate is between vmferry and the source's QEMU. Default: none. */
  readonly gated?: boolean;
  /** Rate of the connection in each direction, Mbit/s. Default: no connection between namespaces. */
  readonly mbit?: number;
}

/** The accelerator of a busy guest: TCG where the source's QEMU sends RAM more than once with it (9.0). */
export function busyAccelerator(): Accelerator {
  if (Deno.env.get("VMFERRY_ACCEL")) return accelerator();
  return qemuMajor(qemuBinary("source")) >= 9 ? "tcg" : accelerator();
}

/** Two QEMUs with a guest that is too busy for the connection between them. */
export class BusyPair {
  readonly source: Qemu;
  readonly destination: Qemu;
  readonly dir: string;
  /** With `gated`. */
  readonly gate: QmpGate | undefined;
  readonly #context: ScenarioContext;
  readonly #network: Network | undefined;

  /** Starts both QEMUs. */
  static async start(context: ScenarioContext, options: BusyPairOptions): Promise<BusyPair> {
    const dir = `${context.dir}/${options.name}`;
    await Deno.mkdir(dir);
    for (const side of ["here", "there"]) await Deno.mkdir(`${dir}/${side}`);
    const network = options.mbit === undefined ? undefined : context.use(await Network.create());
    if (network) await network.limit(options.mbit!);
    const [from, to] = ["source", "dest"].map((side) => `${dir}/${side}.raw`);
    await Deno.writeFile(from!, options.sector);
    await Deno.truncate(from!, DISK);
    if (options.fill) await fill(from!, options.fill);
    await makeEmptyImage({ path: to!, format: "raw" }, DISK);
    const accel = options.accel ?? busyAccelerator();
    const common = { dir, accel, machine: machineType(), memoryMiB: options.memoryMiB ?? 512 };
    const source = await context.qemu({
      ...{ ...common, name: "source", binary: qemuBinary("source") },
      disks: [{ id: "vd0", image: { path: from!, format: "raw" } }],
      prefix: network?.source.prefix ?? [],
      ...(options.dirtyRing === undefined ? {} : { dirtyRing: options.dirtyRing }),
    });
    const destination = await context.qemu({
      ...{ ...common, name: "dest", binary: qemuBinary("dest"), incoming: true },
      disks: [{ id: "vd0", image: { path: to!, format: "raw" } }],
      prefix: network?.destination.prefix ?? [],
    });
    const gate = options.gated
      ? context.use(new QmpGate(`${dir}/gate.sock`, source.qmpSocket))
      : undefined;
    return new BusyPair(context, source, destination, { dir, network, gate });
  }

  private constructor(
    context: ScenarioContext,
    source: Qemu,
    destination: Qemu,
    { dir, network, gate }: Pick<BusyPair, "dir" | "gate"> & { network: Network | undefined },
  ) {
    this.#context = context;
    this.source = source;
    this.destination = destination;
    this.dir = dir;
    this.gate = gate;
    this.#network = network;
  }

  /** Waits until the guest has changed its RAM for a while. */
  async running(laps = 1): Promise<void> {
    await poll("the guest to go round its pages", async () => {
      const state = await this.state(this.source);
      return state.ticks > 100 && state.laps >= laps ? state : undefined;
    }, 120_000);
  }

  /** How a busy guest is. */
  async state(qemu: Qemu): Promise<BusyState> {
    return await busyState((address) => qemu.peek(address));
  }

  /** Begins a migration. `args` are added to those of `migrate`. */
  async migrate(...args: string[]): Promise<{ migrate: Vmferry; receive: Vmferry }> {
    const context = this.#context;
    const [here, there] = ["here", "there"].map((
      side,
    ) => ["--json", "--run-dir", `${this.dir}/${side}`]);
    const address = this.#network?.destination.address ?? "127.0.0.1";
    const receive = context.vmferry({
      name: "receive",
      prefix: this.#network?.destination.prefix ?? [],
      args: [
        ...["receive", ...there!, "--qmp", this.destination.qmpSocket],
        ...["--listen", `tcp://${address}:0`],
      ],
    });
    const migrate = context.vmferry({
      name: "migrate",
      prefix: this.#network?.source.prefix ?? [],
      args: [
        "migrate",
        ...here!,
        "--qmp",
        this.gate?.path ?? this.source.qmpSocket,
        ...args,
        await receive.address(),
      ],
    });
    return { migrate, receive };
  }

  /** Waits for the end of a migration that must succeed, and for the guest to go on; returns its result. */
  async arrived({ migrate, receive }: { migrate: Vmferry; receive: Vmferry }, timeoutMs: number) {
    await assertExit(migrate, 0, timeoutMs);
    await assertExit(receive, 0);
    return await migrate.waitEvent("result");
  }

  /** Pulls the cable for so long, ms. For a pair with a rate (`mbit`). */
  async cut(ms: number): Promise<void> {
    await this.#network!.cut();
    await delay(systemClock, ms);
    await this.#network!.restore();
  }

  /** The run directory of the source, for `vmferry set`. */
  get runDir(): string {
    return `${this.dir}/here`;
  }

  /** The busy guest goes round its pages at its new home, and has lost none of them. */
  async assertWhole(): Promise<void> {
    await this.assertWholeAt(this.destination);
  }

  /** The same of a guest that runs in this QEMU. */
  async assertWholeAt(qemu: Qemu): Promise<void> {
    const { laps } = await this.state(qemu);
    const { faults } = await poll("the guest to see all of its pages", async () => {
      const state = await this.state(qemu);
      return state.laps >= laps + 2 ? state : undefined;
    }, 120_000);
    if (faults > 0) throw new Error(`The guest has lost ${faults} pages of RAM`);
  }

  /** Ends both QEMUs. */
  async end(): Promise<void> {
    await this.source.quit();
    await this.destination.quit();
  }
}

async function fill(path: string, { from, to }: { from: number; to: number }): Promise<void> {
  using file = await Deno.open(path, { write: true });
  await file.seek(from, Deno.SeekMode.Start);
  for (let at = from; at < to; at += 65536) {
    await file.write(crypto.getRandomValues(new Uint8Array(65536)));
  }
}

/** A busy guest's first sector. */
export function busy(options: BusyGuestOptions): Uint8Array {
  return busySector(options);
}

/** The largest throttle that was reported, percent. */
export function largestThrottle(events: readonly JsonEvent[]): number {
  return Math.max(
    0,
    ...events.filter((e) => e.event === "progress").map((e) =>
      (e.ram as { throttlePercent?: number } | null)?.throttlePercent ?? 0
    ),
  );
}
