import { type Clock, delay, type Logger, messageOf } from "../../io/mod.ts";
import type { Membership } from "./lock_directory.ts";
import { fairShares, type Sharer, wanted } from "./shares.ts";

/** How often shares are computed anew, ms. */
const TICK_MS = 1000;

/** What a share is kept for. */
export interface ShareOptions {
  readonly membership: Membership;
  /** `--host-bandwidth`, bytes per second. */
  readonly hostBandwidth: number;
  /** Gets the share, bytes per second, whenever it is another one. */
  readonly apply: (share: number) => Promise<void>;
  /** The user's own limit, bytes per second; `null`: none. */
  readonly limit: () => number | null;
  /** Bytes that have crossed so far. */
  readonly bytes: () => number;
  /** It keeps its whole share though it sends little: its guest is waiting, or is about to be paused. */
  readonly isUrgent: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Keeps a migration at its share of the host's bandwidth, until disposed. */
export class ShareKeeper implements AsyncDisposable {
  readonly #options: ShareOptions;
  readonly #stop = new AbortController();
  #share: number;
  #equal: number;
  #bytes: number;
  #at: number;
  #work: Promise<void> = Promise.resolve();

  /** Begins with the share that it has now. */
  static async start(options: ShareOptions): Promise<ShareKeeper> {
    const keeper = new ShareKeeper(options);
    // Whatever else happens, it never exceeds what all have together.
    await options.apply(options.hostBandwidth);
    await keeper.#divide(null);
    keeper.#work = keeper.#run();
    return keeper;
  }

  private constructor(options: ShareOptions) {
    this.#options = options;
    this.#share = this.#equal = options.hostBandwidth;
    this.#bytes = options.bytes();
    this.#at = options.clock.now();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { clock, bytes, isUrgent, limit } = this.#options;
    while (await delay(clock, TICK_MS, signal).then(() => true, () => false)) {
      const [now, sent] = [clock.now(), bytes()];
      const rate = Math.max(0, sent - this.#bytes) * 1000 / Math.max(1, now - this.#at);
      [this.#bytes, this.#at] = [sent, now];
      const usable = isUrgent() ? null : wanted(rate, this.#share, this.#equal);
      const most = Math.min(usable ?? Infinity, limit() ?? Infinity);
      await this.#divide(most === Infinity ? null : most);
    }
  }

  /** Computes the shares, with `wants` of this one. A directory that cannot be read leaves the share as it is. */
  async #divide(wants: number | null): Promise<void> {
    const { membership, hostBandwidth, apply, log } = this.#options;
    try {
      if (wants !== membership.facts.wants) await membership.note({ wants });
      const others: Sharer[] = [];
      for (const member of await membership.directory.members("running", membership.id)) {
        const { hostBandwidth: theirs } = member;
        if (theirs !== null) others.push({ hostBandwidth: theirs, wants: member.wants });
      }
      const all = [{ hostBandwidth, wants }, ...others];
      this.#equal = Math.min(...all.map((one) => one.hostBandwidth)) / all.length;
      const [share] = fairShares(all);
      if (share === this.#share || share === undefined) return;
      this.#share = share;
      log.log("debug", `share of the host's bandwidth: ${share} bytes/s, ${all.length} take part`);
      await apply(share);
    } catch (error) {
      log.log("warning", `the share of --host-bandwidth stays as it is: ${messageOf(error)}`);
    }
  }
}
