import {
  type Image,
  makeEmptyImage,
  memorySector,
  type MemoryState,
  memoryStates,
} from "../guest/mod.ts";
import { type Accelerator, accelerator, type Qemu } from "../support/qemu.ts";
import { assertExit, type ScenarioContext } from "../support/scenario.ts";
import { machineType, qemuBinary } from "./versions.ts";
import { poll } from "../support/waiting.ts";

const MiB = 1024 * 1024;
const CPUS = 2;
const PAGES = 128;
/** So little that the first pass takes long enough for QEMU to know the rate, and that others follow. */
const BANDWIDTH = "5M";
/** What a vCPU must have gone round at its new home to have seen each of its pages. */
const LAPS = 2;

/** What to play: `VMFERRY_ACCEL`, or TCG and, where this host has it, KVM. */
export function accelerators(): Accelerator[] {
  if (Deno.env.get("VMFERRY_ACCEL") || accelerator() === "tcg") return [accelerator()];
  return ["kvm", "tcg"];
}

/** A memory guest that is moved to and fro between two QEMUs: `QEMU`, and `QEMU_DEST` if there is one. */
export class MemoryCrossings {
  readonly #context: ScenarioContext;
  readonly #accel: Accelerator;
  readonly #options: readonly string[];
  #qemu: Qemu;
  #done = 0;
  #faults = 0;
  readonly #lost: string[] = [];
  #longestMs = 0;

  /**
   * Starts the guest and waits until all of its vCPUs go round.
   *
   * @param options more arguments of each `migrate`.
   */
  static async start(
    context: ScenarioContext,
    accel: Accelerator,
    options: readonly string[] = [],
  ): Promise<MemoryCrossings> {
    const image = imageOf(context, accel, 0);
    // KVM without hardware support emulates this guest, instruction by instruction.
    const spins = accel === "kvm" ? 0 : 1000;
    await Deno.writeFile(image.path, memorySector({ cpus: CPUS, pages: PAGES, spins }));
    await Deno.truncate(image.path, MiB);
    const qemu = await startQemu(context, accel, image, 0);
    await laps(qemu, [0, 0]);
    const secret = secretOf(context);
    await Deno.writeTextFile(secret, `${crypto.randomUUID()}\n`, { mode: 0o600 });
    return new MemoryCrossings(context, accel, qemu, options);
  }

  private constructor(
    context: ScenarioContext,
    accel: Accelerator,
    qemu: Qemu,
    options: readonly string[],
  ) {
    this.#options = options;
    this.#context = context;
    this.#accel = accel;
    this.#qemu = qemu;
  }

  /** Moves the guest to the other QEMU and lets it look at all of its pages there. */
  async cross(): Promise<void> {
    const context = this.#context;
    const n = ++this.#done;
    const image = imageOf(context, this.#accel, n);
    await makeEmptyImage(image, MiB);
    const destination = await startQemu(context, this.#accel, image, n);
    const common = ["--json", "--secret-file", secretOf(context), "--run-dir"];
    const [here, there] = await Promise.all(["here", "there"].map(async (side) => {
      const dir = `${context.dir}/${side}`;
      await Deno.mkdir(dir, { recursive: true });
      return dir;
    }));
    const receive = context.vmferry({
      name: `receive ${this.#accel} ${n}`,
      args: [
        ...["receive", ...common, there!, "--qmp", destination.qmpSocket],
        ...["--listen", "tcp://127.0.0.1:0"],
      ],
    });
    const address = await receive.address();
    const migrate = context.vmferry({
      name: `migrate ${this.#accel} ${n}`,
      args: [
        ...["migrate", ...common, here!, "--qmp", this.#qemu.qmpSocket],
        ...["--bandwidth", BANDWIDTH, ...this.#options, address],
      ],
    });
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const { downtimeMs } = await migrate.waitEvent("result");
    this.#longestMs = Math.max(this.#longestMs, Number(downtimeMs));
    await this.#qemu.quit();
    await Deno.remove(imageOf(context, this.#accel, n - 1).path);
    this.#qemu = destination;
    const arrived = await states(destination);
    this.#look(n, await laps(destination, arrived.map((state) => state.laps)));
  }

  /**
   * Ends the last QEMU.
   *
   * @returns how many crossings there were, and the longest downtime.
   * @throws {Error} when a page was lost in any of them.
   */
  async end(): Promise<string> {
    await this.#qemu.quit();
    if (this.#lost.length > 0) {
      const of = `${this.#lost.length} of ${this.#done} crossings with ${this.#accel} lost RAM`;
      throw new Error([of, ...this.#lost].join("\n"));
    }
    return `${this.#done} crossings, downtime up to ${this.#longestMs} ms`;
  }

  #look(n: number, found: readonly MemoryState[]): void {
    const faults = found.reduce((sum, state) => sum + state.faults, 0);
    const more = faults - this.#faults;
    this.#faults = faults;
    if (more <= 0) return;
    const { address, got, expected } = found.find((state) => state.faults > 0)!.last;
    this.#lost.push(
      `crossing ${n}: ${more} pages were not as the guest had left them, such as 0x` +
        `${address.toString(16)}, of lap ${got}, expected ${expected}`,
    );
  }
}

function imageOf(context: ScenarioContext, accel: Accelerator, n: number): Image {
  return { path: `${context.dir}/${accel}-${n}.raw`, format: "raw" };
}

function secretOf(context: ScenarioContext): string {
  return `${context.dir}/secret`;
}

/** The n-th QEMU of a guest, on one of two sides in turn. */
async function startQemu(
  context: ScenarioContext,
  accel: Accelerator,
  image: Image,
  n: number,
): Promise<Qemu> {
  return await context.qemu({
    name: `${accel}-${n}`,
    disks: [{ id: "vd0", image }],
    accel,
    incoming: n > 0,
    memoryMiB: 64,
    machine: machineType(),
    binary: qemuBinary(n % 2 === 0 ? "source" : "dest"),
    extra: ["-smp", String(CPUS)],
  });
}

async function states(qemu: Qemu): Promise<MemoryState[]> {
  return await memoryStates((address) => qemu.peek(address), CPUS);
}

/** Waits until each vCPU has gone round after `before`. */
async function laps(qemu: Qemu, before: readonly number[]): Promise<MemoryState[]> {
  return await poll(`${qemu.name}: each vCPU to go round its pages`, async () => {
    const now = await states(qemu);
    return now.every((state, i) => state.laps >= before[i]! + LAPS) ? now : undefined;
  }, 90_000);
}
