import { MAY_HAVE_PAUSED } from "../handover/states.ts";
import type { SourceRecord } from "../journal.ts";
import { TOO_LATE } from "../events.ts";
import type { LadderChange } from "../progress/ladder_steps.ts";
import { reportPauses } from "../guest/report_pauses.ts";
import { SourceContext } from "./context.ts";
import { beforeSwitchover } from "./before_switchover.ts";
import { copy } from "./copy.ts";
import { Failure } from "./failure.ts";
import { finish, handOver } from "./hand_over.ts";
import type { Migrated, SourceOptions } from "./options.ts";
import { prepare, type Prepared } from "./prepare.ts";
import { resume } from "./resume.ts";
import { sendRam } from "./send_ram.ts";
import { type Crossed, switchOver } from "./switchover.ts";

/** The source's side of one migration: from the first look at QEMU until the guest runs at its new host. */
export class SourceMigration {
  readonly #options: SourceOptions;
  readonly #context: SourceContext;
  readonly #failure: Failure;

  /**
   * Begins nothing yet.
   *
   * @param options the parts and settings; nothing is done before {@link run}. */
  constructor(options: SourceOptions) {
    this.#options = options;
    this.#context = new SourceContext(options);
    this.#failure = new Failure(this.#context);
  }

  /** Bytes that crossed the tunnel so far, both directions. */
  get bytes(): number {
    return this.#context.bytes;
  }

  /** The destination's QEMU was given its one incoming migration, or may have been. */
  get memoryBegan(): boolean {
    const { resume: record } = this.#options;
    return this.#context.qemu.streamAsked ||
      (record !== undefined && MAY_HAVE_PAUSED.includes(record.state));
  }

  /** Something could not be undone: the record must stay. */
  get leftBehind(): boolean {
    return this.#context.leftBehind;
  }

  /** The record as it was written last; the user looks for the guest by it. */
  get record(): SourceRecord {
    return this.#context.record;
  }

  /**
   * Pauses the guest as soon as only its changes are left to copy, so that the migration ends. The guest
   * resumes at the destination, or here if the migration fails.
   */
  suspend(why: string): void {
    this.#context.pauses.suspend(why);
  }

  /**
   * Takes or forbids steps for a guest that changes its RAM faster than RAM crosses. Throws as
   * {@link LadderSteps.set} does.
   */
  async setLadder(change: LadderChange): Promise<void> {
    await this.#context.ladder.set(change);
  }

  /**
   * Migrates the guest.
   *
   * @throws {MigrationError} whose `kind` says where the guest is; everything of ours is undone by then,
   * except with `unknown`.
   */
  async run(): Promise<Migrated> {
    using context = this.#context;
    using _pauses = reportPauses(this.#options);
    const { signal } = this.#options;
    const onCancel = () => {
      if (!context.noWayBack) return context.fault(signal.reason);
      context.warn("too-late", TOO_LATE);
    };
    signal.addEventListener("abort", onCancel, { once: true });
    if (signal.aborted) onCancel();
    try {
      return await this.#migrate();
    } catch (error) {
      throw await this.#failure.undo(error);
    } finally {
      signal.removeEventListener("abort", onCancel);
    }
  }

  async #migrate(): Promise<Migrated> {
    const context = this.#context;
    const { resume: record } = this.#options;
    context.report({ event: "migration", migration: context.migration });
    const begun = record ? await resume(context, record) : await prepare(context);
    const crossed = begun.is === "prepared" ? await this.#cross(begun) : begun;
    const arrived = crossed.is === "crossed" ? await handOver(context, crossed) : crossed;
    return await finish(context, arrived);
  }

  async #cross(prepared: Prepared): Promise<Crossed> {
    const context = this.#context;
    const copied = await copy(context, prepared);
    await beforeSwitchover(context);
    const paused = await sendRam(context, copied);
    return await switchOver(context, paused);
  }
}
