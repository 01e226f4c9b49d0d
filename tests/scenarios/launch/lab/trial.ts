import type { HostState } from "../../support/host.ts";
import type { LabHost } from "../../support/lab_host.ts";
import { assertExit } from "../../support/scenario.ts";
import type { LabGuest } from "./guest.ts";
import { assertAsBefore, hostState } from "./host_state.ts";
import { DESTINATION, type LaunchLab } from "./lab.ts";
import { migrate } from "./run.ts";

/** Both hosts as they are before a launch that fails, and the checks after it. */
export class LaunchTrial {
  readonly #lab: LaunchLab;
  readonly #guest: LabGuest;
  readonly #before: readonly { host: LabHost; state: HostState }[];
  /** The destination, as the source names it. */
  readonly #to: string;

  /** Takes the state of both hosts; the guest runs at the source. */
  static async begin(
    lab: LaunchLab,
    guest: LabGuest,
    to: string = DESTINATION,
  ): Promise<LaunchTrial> {
    const before = await Promise.all([lab.source, lab.destination].map(async (host) => ({
      ...{ host, state: await hostState(host, guest.images) },
    })));
    return new LaunchTrial(lab, guest, before, to);
  }

  private constructor(
    lab: LaunchLab,
    guest: LabGuest,
    before: readonly { host: LabHost; state: HostState }[],
    to: string,
  ) {
    this.#to = to;
    this.#lab = lab;
    this.#guest = guest;
    this.#before = before;
  }

  /** The guest counts on at the source, and both hosts have the files and processes that they had. */
  async assertUndone(but?: RegExp): Promise<void> {
    await this.#guest.assertRunsOnlyOn(this.#lab.source);
    for (const { host } of this.#before) await this.assertUndoneOn(host, but);
  }

  /** This host has the files and processes that it had. */
  async assertUndoneOn(host: LabHost, but?: RegExp): Promise<void> {
    const { state } = this.#before.find((before) => before.host === host)!;
    await assertAsBefore(host, state, this.#guest.images, but);
  }

  /** Tries again: the guest moves, with every write. */
  async assertNextWorks(...args: readonly string[]): Promise<void> {
    const { qmp } = this.#guest;
    await assertExit(migrate(this.#lab, args, "next", { qmp, to: this.#to }), 0);
    await this.#guest.assertArrived();
  }
}
