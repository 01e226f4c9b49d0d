import type { MigrationSettings } from "../qmp/mod.ts";
import type { Session } from "../tunnel/mod.ts";
import { DowntimeSteps } from "./progress/downtime_steps.ts";

/** QEMU's own limit for the migration stream when the user sets none: 1 TiB/s, that is none. */
const NO_LIMIT = 2 ** 40;

/** New limits; what is not named stays. */
export interface LimitChange {
  /** Bytes per second; `null` = no limit. */
  readonly bandwidth?: number | null;
  readonly maxDowntimeMs?: number;
}

/**
 * What a migration may take, as it was asked for at the start and may be changed while it runs. One
 * bandwidth holds for everything together: the tunnel keeps to it, whatever QEMU sends into it, and
 * QEMU is told so that it reckons its downtime with it.
 */
export class Limits {
  #bandwidth: number | null;
  #maxDowntimeMs: number;
  /** None once somebody has said what is to hold while the memory is on its way. */
  #steps: DowntimeSteps | undefined = new DowntimeSteps();
  #singlePass = false;
  #session: Pick<Session, "setBandwidth"> | undefined;
  #settings: Pick<MigrationSettings, "apply"> | undefined;

  constructor(bandwidth: number | null, maxDowntimeMs: number) {
    this.#bandwidth = bandwidth;
    this.#maxDowntimeMs = maxDowntimeMs;
  }

  /** Bytes per second for everything together; `null` = no limit. */
  get bandwidth(): number | null {
    return this.#bandwidth;
  }

  /**
   * How long the guest may stand still at the switchover, ms; QEMU is told less at first, and nothing
   * of it where RAM crosses in a single pass.
   */
  get maxDowntimeMs(): number {
    return this.#maxDowntimeMs;
  }

  /** Holds a session to the bandwidth, now and whenever it is changed. */
  holdSession(session: Pick<Session, "setBandwidth">): void {
    this.#session = session;
    if (this.#bandwidth !== null) session.setBandwidth(this.#bandwidth);
  }

  /**
   * RAM is to be sent once, whatever `maxDowntimeMs` is or becomes: with a limit of 0 QEMU pauses the
   * guest when the first pass has nothing left to send, and never begins a second one while it runs.
   */
  sendRamOnce(): void {
    this.#singlePass = true;
  }

  /** As QEMU's migration parameters. */
  get parameters(): Record<string, number> {
    return {
      "max-bandwidth": this.#bandwidth ?? NO_LIMIT,
      "downtime-limit": this.#singlePass
        ? 0
        : Math.min(this.#maxDowntimeMs, this.#steps?.limitMs ?? Infinity),
    };
  }

  /** Sets them in QEMU, and again whenever they are changed. */
  async holdRam(settings: Pick<MigrationSettings, "apply">): Promise<void> {
    this.#settings = settings;
    await settings.apply({ parameters: this.parameters });
  }

  /**
   * Changes them at once; resolves when QEMU, where its memory is on the way, has been told too.
   *
   * @throws {QmpError | QmpCommandError} when QEMU did not take them.
   */
  async set(change: LimitChange): Promise<void> {
    if (change.bandwidth !== undefined) {
      this.#bandwidth = change.bandwidth;
      this.#session?.setBandwidth(change.bandwidth ?? Infinity);
    }
    if (change.maxDowntimeMs !== undefined) {
      this.#maxDowntimeMs = change.maxDowntimeMs;
      if (this.#settings) this.#steps = undefined;
    }
    await this.#settings?.apply({ parameters: this.parameters });
  }

  /**
   * Another round through memory has begun; resolves when QEMU has been told what it comes to.
   *
   * @param round 1 for all of memory, 2 for what was changed meanwhile, and so on.
   * @param now ms.
   * @throws {QmpError | QmpCommandError} when QEMU did not take it.
   */
  async roundBegan(round: number, now: number): Promise<void> {
    const before = this.parameters["downtime-limit"];
    this.#steps?.roundBegan(round, now);
    if (this.parameters["downtime-limit"] === before) return;
    await this.#settings?.apply({ parameters: this.parameters });
  }
}
