import { discardCounts, type QmpClient } from "../../qmp/mod.ts";

/**
 * Finds the disks whose guest discards blocks while they are mirrored. QEMU drops these requests, on
 * both ends, whatever `discard=` says (7.2 to 11.1): the blocks stay allocated, and the guest takes them
 * for free. Only SCSI and IDE disks are found: QEMU does not count the discards of virtio-blk, and what a
 * mirror drops never reaches the counters of the file below (seen with 10.0).
 */
export class DiscardWatch {
  readonly #qmp: QmpClient;
  readonly #disks: readonly string[];
  readonly #before: Promise<ReadonlyMap<string, number>>;

  /** @param disks names of those that are mirrored from now on. */
  constructor(qmp: QmpClient, disks: readonly string[]) {
    this.#qmp = qmp;
    this.#disks = disks;
    this.#before = this.#count();
  }

  /** Names of the disks that were discarded from since. Never rejects. */
  async dropped(): Promise<string[]> {
    const [before, now] = [await this.#before, await this.#count()];
    return this.#disks.filter((name) => {
      const [then, later] = [before.get(name), now.get(name)];
      return then !== undefined && later !== undefined && later > then;
    });
  }

  /** A QEMU that does not say has nothing to be noted. */
  async #count(): Promise<ReadonlyMap<string, number>> {
    return await discardCounts(this.#qmp).catch(() => new Map());
  }
}
