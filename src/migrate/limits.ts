import type { MigrationSettings } from "../qmp/mod.ts";
import type { Session } from "../tunnel/mod.ts";
import { DowntimeSteps } from "./progress/downtime_steps.ts";

/** `max-bandwidth` of QEMU's migration stream without --bandwidth: 1 TiB/s, which limits nothing. */
const NO_LIMIT = 2 ** 40;

/** New limits; an absent one stays. */
export interface LimitChange {
  /** Bytes per second; `null` = no limit. */
  readonly bandwidth?: number | null;
  /** The largest downtime that QEMU may plan, ms. */
  readonly maxDowntimeMs?: number;
}

/**
 * The limits of a migration, which `vmferry set` may change while it runs. One bandwidth applies to
 * everything together: the tunnel enforces it whatever QEMU sends, and QEMU gets it to estimate the
 * downtime with it.
 */
export class Limits {
  #bandwidth: number | null;
  /** What others of the same host leave to this migration, bytes per second; `null`: it need not share. */
  #share: number | null = null;
  #maxDowntimeMs: number;
  /** `undefined` once the user has changed the downtime while RAM crosses. */
  #steps: DowntimeSteps | undefined = new DowntimeSteps();
  #singlePass = false;
  #session: Pick<Session, "setBandwidth"> | undefined;
  #settings: Pick<MigrationSettings, "apply"> | undefined;

  /**
   * The limits that a migration begins with.
   *
   * @param bandwidth bytes per second; `null`: no limit.
   * @param maxDowntimeMs the largest downtime that QEMU may plan, ms.
   */
  constructor(bandwidth: number | null, maxDowntimeMs: number) {
    this.#bandwidth = bandwidth;
    this.#maxDowntimeMs = maxDowntimeMs;
  }

  /** Bytes per second for everything together; `null` = no limit. */
  get bandwidth(): number | null {
    return this.#bandwidth;
  }

  /** The rate that holds, bytes per second: the lower one of bandwidth and share; `null` = no limit. */
  get rate(): number | null {
    const rate = Math.min(this.#bandwidth ?? Infinity, this.#share ?? Infinity);
    return rate === Infinity ? null : rate;
  }

  /** What others of the same host leave to this migration, bytes per second; `null`: it need not share. */
  get share(): number | null {
    return this.#share;
  }

  /**
   * Longest downtime at the switchover, ms. QEMU gets a shorter limit at first, and 0 where RAM crosses
   * in a single pass.
   */
  get maxDowntimeMs(): number {
    return this.#maxDowntimeMs;
  }

  /** Applies the bandwidth to a session, now and after each change. */
  holdSession(session: Pick<Session, "setBandwidth">): void {
    this.#session = session;
    if (this.rate !== null) session.setBandwidth(this.rate);
  }

  /**
   * Has QEMU send RAM once, whatever `maxDowntimeMs` is: with a limit of 0 it pauses the guest when the
   * first pass has nothing left to send, and never begins a second pass while the guest runs.
   */
  sendRamOnce(): void {
    this.#singlePass = true;
  }

  /** The limits as QEMU's migration parameters (bytes per second, ms). */
  get parameters(): Record<string, number> {
    return {
      "max-bandwidth": this.rate ?? NO_LIMIT,
      "downtime-limit": this.#singlePass
        ? 0
        : Math.min(this.#maxDowntimeMs, this.#steps?.limitMs ?? Infinity),
    };
  }

  /**
   * Applies the limits to QEMU, now and after each change.
   *
   * @throws {QmpError | QmpCommandError} when QEMU does not accept them.
   */
  async holdRam(settings: Pick<MigrationSettings, "apply">): Promise<void> {
    this.#settings = settings;
    await settings.apply({ parameters: this.parameters });
  }

  /**
   * Changes the limits at once; resolves when QEMU has accepted them, if RAM crosses already.
   *
   * @throws {QmpError | QmpCommandError} when QEMU does not accept them.
   */
  async set(change: LimitChange): Promise<void> {
    if (change.bandwidth !== undefined) {
      this.#bandwidth = change.bandwidth;
      this.#session?.setBandwidth(this.rate ?? Infinity);
    }
    if (change.maxDowntimeMs !== undefined) {
      this.#maxDowntimeMs = change.maxDowntimeMs;
      if (this.#settings) this.#steps = undefined;
    }
    await this.#settings?.apply({ parameters: this.parameters });
  }

  /**
   * Changes what others leave to this migration, at once; resolves when QEMU has accepted it, if RAM crosses.
   *
   * @throws {QmpError | QmpCommandError} when QEMU does not accept it.
   */
  async setShare(share: number): Promise<void> {
    const before = this.rate;
    this.#share = share;
    if (this.rate === before) return;
    this.#session?.setBandwidth(this.rate ?? Infinity);
    await this.#settings?.apply({ parameters: this.parameters });
  }

  /**
   * Call this when another pass over RAM has begun; resolves when QEMU has the downtime limit for it.
   *
   * @param round number of the pass: 1 sends all RAM, 2 what the guest changed meanwhile, and so on.
   * @param now ms.
   * @throws {QmpError | QmpCommandError} when QEMU does not accept the limit.
   */
  async roundBegan(round: number, now: number): Promise<void> {
    const before = this.parameters["downtime-limit"];
    this.#steps?.roundBegan(round, now);
    if (this.parameters["downtime-limit"] === before) return;
    await this.#settings?.apply({ parameters: this.parameters });
  }
}
