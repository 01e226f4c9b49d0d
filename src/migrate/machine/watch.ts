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
  /** The machine is not any more what the destination was made for. Called once. */
  fault(error: MigrationError): void;
}

/** How often the machine is looked at, ms. QEMU tells of no device that is added. */
const EVERY_MS = 2_000;
/** Events after which it is looked at. */
const EVENTS: readonly string[] = [
  ...["DEVICE_DELETED", "DEVICE_TRAY_MOVED", "ACPI_DEVICE_OST", "BLOCK_JOB_COMPLETED"],
  ...["MEMORY_DEVICE_SIZE_CHANGE", "MEM_UNPLUG_ERROR"],
];

/**
 * Watches the source's machine from the look that it was compared by until the guest is handed over. A
 * device, disk, vCPU or DIMM that comes or goes, a disk that is resized, a block job or a migration
 * blocker that appears ends the migration with that reason, before the destination's QEMU would fail at
 * it without a reason.
 */
export class MachineWatch implements Disposable {
  readonly #context: MachineWatchContext;
  readonly #before: MachineLook;
  readonly #stopEvents: () => void;
  #stopTimer: () => void = () => {};
  #isOver = false;

  /** Takes the look that later ones are compared with. */
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
      // A QEMU that does not answer, or has ended, is found out elsewhere.
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
