import type { Clock, Logger } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { Inventory } from "../../rpc/mod.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import { type ErrorCode, type MigrationError, refusal } from "../errors.ts";
import type { Report } from "../events.ts";
import type { WarningCode } from "../warning_table.ts";
import { staysBehindIn } from "./compare.ts";
import { takeInventory } from "./inventory.ts";
import { type Difference, judge, type RuleName } from "./rules.ts";
import { compareWith, NOT_COMPARED, worded } from "./settle.ts";
import { MachineWatch } from "./watch.ts";

export interface MachineGuardOptions {
  readonly qmp: QmpClient;
  /** Rules whose refusals the user overrides. */
  readonly allow: readonly RuleName[];
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
  /** The machine is not any more what the destination was made for. */
  readonly onFault: (error: MigrationError) => void;
}

/**
 * Sees to it that the guest only leaves for a machine that is like its own: compares before the first
 * byte and again before RAM, and watches the source's machine all the while.
 */
export class MachineGuard implements Disposable {
  readonly #options: MachineGuardOptions;
  readonly #watch: MachineWatch;
  /** What was reported already. */
  readonly #told = new Set<string>();

  /**
   * Looks at the source's machine and begins to watch it.
   *
   * @throws {MigrationError} kind `refused`, naming devices whose data would stay behind.
   */
  static async begin(options: MachineGuardOptions): Promise<MachineGuard> {
    const inventory = await takeInventory(options.qmp);
    const guard = new MachineGuard(options, await MachineWatch.begin(options));
    try {
      guard.#judge(staysBehindIn(inventory), "source-not-fit", "source", []);
    } catch (error) {
      guard[Symbol.dispose]();
      throw error;
    }
    return guard;
  }

  private constructor(options: MachineGuardOptions, watch: MachineWatch) {
    this.#options = options;
    this.#watch = watch;
  }

  /**
   * Compares both machines as they are now.
   *
   * @param others asked, where the migration is refused, for what else stands in its way.
   * @throws {MigrationError} kind `refused`, code `machines-differ`, naming every difference.
   */
  async compare(
    peer: DestinationPeer,
    signal: AbortSignal,
    others: () => Promise<readonly string[]> = () => Promise.resolve([]),
  ): Promise<void> {
    const { qmp } = this.#options;
    const inventory: Inventory = await takeInventory(qmp);
    const differences = await compareWith(peer, inventory, qmp, signal);
    if (!differences) return this.#warn("machines-not-compared", NOT_COMPARED);
    const isRefused = judge(differences, this.#options.allow).refused.length > 0;
    const more = isRefused ? await others() : [];
    this.#judge(differences, "machines-differ", "destination", more);
  }

  /** @throws {MigrationError} code `machine-changed`. */
  async look(): Promise<void> {
    await this.#watch.look();
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  #judge(
    differences: readonly Difference[],
    code: ErrorCode,
    side: "source" | "destination",
    more: readonly string[],
  ): void {
    const { refused, warned, noted } = judge(differences, this.#options.allow);
    for (const { message } of noted) this.#options.log.log("info", message);
    for (const { rule, message } of warned) this.#warn(rule, message);
    if (refused.length > 0) throw refusal(code, side, [...refused.map(worded), ...more]);
  }

  #warn(code: WarningCode, message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#options.report({ event: "warning", code, message });
  }
}
