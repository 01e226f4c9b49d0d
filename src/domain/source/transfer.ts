import { type Clock, delay, type Logger, messageOf } from "../../io/mod.ts";
import { type ProgramResult, type StartProgram } from "../../host/mod.ts";
import { type Virsh } from "../../libvirt/mod.ts";
import { type Limits, MigrationError, type Report, TOO_LATE } from "../../migrate/mod.ts";
import { LibvirtLimits, wordsOf } from "./limits.ts";
import type { CopiedDisk } from "./progress.ts";
import type { VirshRun } from "./run/virsh_run.ts";
import { DomainWatch } from "./watch.ts";

/** How long libvirt may take to cancel its migration before vmferry cuts it, ms. */
const ABORT_MS = 60_000;
/** Pause between two tries to cancel, ms: libvirt may not have begun. */
const ABORT_AGAIN_MS = 1_000;
/** How long one change may take, ms. */
const CHANGE_MS = 20_000;

/** What a transfer needs of the migration. */
export interface TransferContext {
  /** The source's libvirt, directly. */
  readonly virsh: Virsh;
  readonly uuid: string;
  readonly disks: readonly CopiedDisk[];
  /** The guest was paused before. */
  readonly wasPaused: boolean;
  readonly limits: Limits;
  /** Bytes that crossed so far, both directions. */
  readonly bytes: () => number;
  /** As many as there would be without compression. */
  readonly carried: () => number;
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborted when the migration is to be cancelled. */
  readonly signal: AbortSignal;
}

/**
 * The time in which `virsh migrate` runs: watches it, applies the limits, pauses the guest on request, and
 * has libvirt cancel the migration.
 */
export class Transfer {
  readonly #context: TransferContext;
  readonly #run: VirshRun;
  readonly #limits: LibvirtLimits;
  #watch: DomainWatch | undefined;
  #pauseAsked: string | undefined;
  #copied = false;
  #ramCrosses = false;
  #suspended = false;
  #cancelling: Promise<void> = Promise.resolve();

  constructor(run: VirshRun, context: TransferContext) {
    this.#run = run;
    this.#context = context;
    this.#limits = new LibvirtLimits(context.virsh, context.uuid, context.log);
  }

  /** Pauses the guest once every disk was copied once, or now if that is so already. */
  suspend(why: string): void {
    this.#pauseAsked ??= why;
    if (this.#copied) void this.#suspendNow();
  }

  /**
   * Runs virsh to its end.
   *
   * @throws the reason when it was cut before it could start.
   */
  async run(start: StartProgram, argv: readonly string[]): Promise<ProgramResult> {
    const { signal, disks, virsh, uuid, report, clock, log, wasPaused } = this.#context;
    const { bytes, carried } = this.#context;
    const isPaused = () => wasPaused || this.#suspended;
    const ended = this.#run.run(start, argv);
    this.#watch = new DomainWatch({
      ...{ virsh, uuid, disks, report, clock, log },
      get paused() {
        return isPaused();
      },
      get bytes() {
        return bytes();
      },
      get carried() {
        return carried();
      },
      onBegun: () => void this.#holdLimits(),
      onRam: () => {
        this.#ramCrosses = true;
        void this.#holdLimits();
      },
      onCopied: () => this.#onCopied(),
    });
    const onAbort = () => this.#cancelling = this.#cancel();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await ended;
    } finally {
      signal.removeEventListener("abort", onAbort);
      await this.#watch.stop();
      await this.#cancelling;
    }
  }

  /** The destination is being asked to run the guest. */
  finishing(): void {
    this.#watch?.finishing();
  }

  /** The source keeps the guest: gives its domain the limits back that it had. Never rejects. */
  async restoreLimits(): Promise<void> {
    await this.#limits.restore();
  }

  async #holdLimits(): Promise<void> {
    const { limits, log } = this.#context;
    // libvirt limits the copy of disks too, and counts zeros that do not cross: the tunnel's limit is enough.
    const apply = () =>
      this.#limits.apply({
        bandwidth: this.#ramCrosses ? limits.rate : null,
        maxDowntimeMs: limits.maxDowntimeMs,
      });
    // What libvirt does not accept now, it gets with the next `vmferry set`.
    await limits.holdRam({ apply }).catch((error) =>
      log.log("warning", `libvirt did not accept the limits: ${wordsOf(error)}`)
    );
  }

  #onCopied(): void {
    if (this.#copied) return;
    this.#copied = true;
    if (this.#pauseAsked !== undefined) void this.#suspendNow();
  }

  async #suspendNow(): Promise<void> {
    const { virsh, uuid, report, log, wasPaused } = this.#context;
    if (this.#suspended || wasPaused || !this.#run.runs) return;
    this.#suspended = true;
    try {
      await virsh.call(["suspend", "--domain", uuid], { timeoutMs: CHANGE_MS });
      report({
        event: "warning",
        code: "guest-suspended",
        message:
          `${this.#pauseAsked}: the guest is paused until the rest is copied, and runs again at ` +
          "the destination",
      });
    } catch (error) {
      this.#suspended = false;
      log.log("warning", `libvirt did not pause the guest: ${wordsOf(error)}`);
    }
  }

  /** Has libvirt cancel, until virsh has ended. Never rejects. */
  async #cancel(): Promise<void> {
    const { virsh, uuid, clock, log, report } = this.#context;
    if (this.#watch?.phase === "handover") {
      return report({ event: "warning", code: "too-late", message: TOO_LATE });
    }
    const until = clock.now() + ABORT_MS;
    while (this.#run.runs) {
      await virsh.call(["domjobabort", "--domain", uuid], { timeoutMs: CHANGE_MS })
        .catch((error) => log.log("debug", `domjobabort: ${messageOf(error)}`));
      if (clock.now() >= until) {
        const message = `libvirt did not cancel the migration within ${ABORT_MS / 1000} s`;
        return this.#run.cut(new MigrationError("failed", "domain-failed", "source", message));
      }
      await delay(clock, ABORT_AGAIN_MS);
    }
  }
}
