import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import {
  lookAtDisks,
  parseQtree,
  parseRamBlocks,
  type QmpClient,
  type QmpEvent,
  queryBlockJobs,
  queryMigrate,
} from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import { changesBetween, type MachineLook } from "./changes.ts";
import { listDevices } from "./device_list.ts";

/** The migration, as far as the watch of its machine needs it. */
export interface MachineWatchContext {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** The machine no longer matches the destination's. Called at most once. */
  fault(error: MigrationError): void;
}

/** Interval of the looks, ms: QEMU has no event for a device that is added. */
const EVERY_MS = 2_000;
/** Events after which the machine is looked at. */
const EVENTS: readonly string[] = [
  ...["DEVICE_DELETED", "DEVICE_TRAY_MOVED", "ACPI_DEVICE_OST", "BLOCK_JOB_COMPLETED"],
  ...["MEMORY_DEVICE_SIZE_CHANGE", "MEM_UNPLUG_ERROR"],
];

/**
 * Watches the source's machine from the comparison until the handover. A device, disk, vCPU or DIMM that
 * is added or removed, a disk that is resized, and a new block job or migration blocker fail the migration
 * with that reason. Without it the destination's QEMU would fail later, and without a reason.
 */
export class MachineWatch implements Disposable {
  readonly #context: MachineWatchContext;
  readonly #before: MachineLook;
  readonly #stopEvents: () => void;
  #stopTimer: () => void = () => {};
  #isOver = false;

  /**
   * Takes the look to compare later ones with, and begins to watch.
   *
   * @throws {QmpError | QmpCommandError} when QEMU does not answer.
   */
  static async begin(context: MachineWatchContext): Promise<MachineWatch> {
    return new MachineWatch(context, await lookAtMachine(context.qmp));
  }

  private constructor(context: MachineWatchContext, before: MachineLook) {
    this.#context = context;
    this.#before = before;
    this.#stopEvents = context.qmp.onEvent((event) => this.#onEvent(event));
    this.#arm();
  }

  /**
   * Looks now.
   *
   * @throws {MigrationError} code `machine-changed`, naming everything that changed.
   */
  async look(): Promise<void> {
    const changes = changesBetween(this.#before, await lookAtMachine(this.#context.qmp));
    if (changes.length === 0) return;
    const message = `The guest's machine changed during the migration: ${changes.join("; ")}. ` +
      "Make the same change at the destination and migrate again";
    throw new MigrationError("failed", "machine-changed", "source", message);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#stopEvents();
    this.#stopTimer();
  }

  #onEvent({ event }: QmpEvent): void {
    if (EVENTS.includes(event)) this.#tick();
  }

  #arm(): void {
    if (!this.#isOver) this.#stopTimer = this.#context.clock.after(EVERY_MS, () => this.#tick());
  }

  async #tick(): Promise<void> {
    this.#stopTimer();
    try {
      await this.look();
      this.#arm();
    } catch (error) {
      if (this.#isOver) return;
      if (error instanceof MigrationError) {
        this[Symbol.dispose]();
        return this.#context.fault(error);
      }
      // A QEMU that does not answer or has ended is reported elsewhere.
      this.#context.log.log("debug", `the machine could not be looked at: ${messageOf(error)}`);
      this.#arm();
    }
  }
}

async function lookAtMachine(qmp: QmpClient): Promise<MachineLook> {
  const hmp = (line: string) => qmp.execute("human-monitor-command", { "command-line": line });
  const [tree, blocks, cpus, disks, jobs, migration] = await Promise.all([
    hmp("info qtree"),
    hmp("info ramblock"),
    qmp.execute("query-cpus-fast", {}),
    lookAtDisks(qmp),
    queryBlockJobs(qmp),
    queryMigrate(qmp),
  ]);
  return {
    devices: listDevices(parseQtree(tree)),
    vcpus: cpus.length,
    ramBlocks: parseRamBlocks(blocks),
    disks,
    blockers: migration.blockedReasons,
    jobs: jobs.map(({ device }) => device).filter((id) => !id.startsWith("vmferry-")),
  };
}
