import { filesIn, hasNbdServer, leftInQemu, type QemuState, qemuState } from "../support/host.ts";
import type { Qemu } from "../support/qemu.ts";
import { assertNone, type ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** A disk of an end: its device's id, and its block node with all below it. */
export interface EndDisk {
  readonly id: string;
  readonly node: Readonly<Record<string, unknown>>;
  /** Further options of the device, such as `share-rw=on`. */
  readonly device?: string;
}

/** Two QEMUs with disks that the scenario chooses node by node, and the vmferrys between them. */
export class TwoEnds {
  readonly source: Qemu;
  readonly destination: Qemu;
  readonly #context: ScenarioContext;
  readonly #dir: string;
  readonly #before: { readonly source: QemuState; readonly destination: QemuState };

  /** Starts both in a directory of their own, and waits until the guest counts. */
  static async start(
    context: ScenarioContext,
    dir: string,
    disks: { readonly source: readonly EndDisk[]; readonly destination: readonly EndDisk[] },
  ): Promise<TwoEnds> {
    await Deno.mkdir(dir, { recursive: true });
    for (const side of ["source", "dest"]) await Deno.mkdir(`${dir}/run-${side}`);
    const common = { dir, disks: [], memoryMiB: 64 };
    const source = await context.qemu({ ...common, name: "source", extra: nodes(disks.source) });
    const destination = await context.qemu({
      ...{ ...common, name: "dest", incoming: true, extra: nodes(disks.destination) },
    });
    await source.waitCounter(100);
    const before = {
      source: await qemuState(source),
      destination: await qemuState(destination),
    };
    return new TwoEnds(context, dir, source, destination, before);
  }

  private constructor(
    context: ScenarioContext,
    dir: string,
    source: Qemu,
    destination: Qemu,
    before: { readonly source: QemuState; readonly destination: QemuState },
  ) {
    this.#context = context;
    this.#dir = dir;
    this.source = source;
    this.destination = destination;
    this.#before = before;
  }

  get #link(): string {
    return `unix://${this.#dir}/link.sock`;
  }

  receive(extra: readonly string[] = []): Vmferry {
    const own = ["--qmp", this.destination.qmpSocket, "--listen", this.#link];
    return this.#start("receive", "dest", [...own, ...extra]);
  }

  migrate(extra: readonly string[] = []): Vmferry {
    return this.#start("migrate", "source", ["--qmp", this.source.qmpSocket, ...extra, this.#link]);
  }

  check(extra: readonly string[] = []): Vmferry {
    return this.#start("check", "source", ["--qmp", this.source.qmpSocket, ...extra, this.#link]);
  }

  /** The guest runs at the source, and nothing of vmferry's is in a QEMU or on the host but a receive. */
  async assertUntouched(): Promise<void> {
    const { source, destination } = this;
    const faults: string[] = [];
    if (await source.status() !== "running") faults.push(`The source is ${await source.status()}`);
    await source.waitCounter(await source.counter() + 50);
    for (
      const [qemu, before] of [
        [source, this.#before.source],
        [destination, this.#before.destination],
      ] as const
    ) {
      faults.push(...leftInQemu(qemu.name, before, await qemuState(qemu)));
      if (await hasNbdServer(qemu, this.#dir)) faults.push(`${qemu.name}: an NBD server is left`);
    }
    for (const file of await filesIn(`${this.#dir}/run-source`)) {
      faults.push(`source: left file ${file}`);
    }
    assertNone(faults);
  }

  /** The guest runs at the destination, has gone on counting, and both QEMUs are ended; returns its last count. */
  async assertArrived(): Promise<number> {
    const { source, destination } = this;
    const stood = await source.counter();
    const last = await destination.waitCounter(stood + 100);
    assertNone(await source.status() === "postmigrate" ? [] : ["The source is not postmigrate"]);
    await Promise.all([source.quit(), destination.quit()]);
    return last;
  }

  async quit(): Promise<void> {
    await Promise.all([this.source.quit(), this.destination.quit()]);
  }

  #start(command: string, side: string, args: readonly string[]): Vmferry {
    return this.#context.vmferry({
      name: command,
      args: [command, "--json", "--run-dir", `${this.#dir}/run-${side}`, ...args],
    });
  }
}

function nodes(disks: readonly EndDisk[]): string[] {
  return disks.flatMap(({ id, node, device }, index) => {
    const more = device === undefined ? "" : `,${device}`;
    return [
      ...["-blockdev", JSON.stringify({ "node-name": `n-${id}`, ...node })],
      ...["-device", `virtio-blk-pci,id=${id},drive=n-${id},bootindex=${index}${more}`],
    ];
  });
}
