import { discardCounts, type QmpClient } from "../../qmp/mod.ts";

/**
 * Finds the disks whose guest discards blocks while they are mirrored. QEMU drops these requests on both
 * sides, whatever `discard=` says (7.2 to 11.1): the blocks stay allocated, and the guest counts them as
 * free. Only SCSI and IDE disks are found: QEMU does not count the discards of virtio-blk, and dropped
 * requests never reach the counters of the file node below (seen with 10.0).
 */
export class DiscardWatch {
  readonly #qmp: QmpClient;
  readonly #disks: readonly string[];
  readonly #before: Promise<ReadonlyMap<string, number>>;

  /** @param disks names of the disks whose mirrors start now. */
  constructor(qmp: QmpClient, disks: readonly string[]) {
    this.#qmp = qmp;
    this.#disks = disks;
    this.#before = this.#count();
  }

  /** Names of the disks with discards since the construction. Never rejects. */
  async dropped(): Promise<string[]> {
    const [before, now] = [await this.#before, await this.#count()];
    return this.#disks.filter((name) => {
      const [then, later] = [before.get(name), now.get(name)];
      return then !== undefined && later !== undefined && later > then;
    });
  }

  /** A QEMU that does not answer counts as one without discards: they only cause a note. */
  async #count(): Promise<ReadonlyMap<string, number>> {
    return await discardCounts(this.#qmp).catch(() => new Map());
  }
}
