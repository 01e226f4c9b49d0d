import type { Inventory } from "../../rpc/mod.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import { type ErrorCode, refusal } from "../errors.ts";
import type { Report } from "../events.ts";
import type { WarningCode } from "../warning_table.ts";
import { staysBehindIn } from "./compare.ts";
import { takeInventory } from "./inventory.ts";
import { type Difference, judge, type RuleName } from "./rules.ts";
import { compareWith, NOT_COMPARED, worded } from "./settle.ts";
import { MachineWatch, type MachineWatchContext } from "./watch.ts";

/** The migration, as far as the guard of its machine needs it. */
export interface MachineGuardContext extends MachineWatchContext {
  readonly report: Report;
}

/**
 * Sees to it that the guest only leaves for a machine that is like its own: compares before the first
 * byte and again before RAM, and watches the source's machine all the while.
 */
export class MachineGuard implements Disposable {
  readonly #context: MachineGuardContext;
  readonly #watch: MachineWatch;
  /** Rules whose refusals the user overrides. */
  readonly #allow: readonly RuleName[];
  /** What was reported already. */
  readonly #told = new Set<string>();

  /**
   * Looks at the source's machine and begins to watch it.
   *
   * @throws {MigrationError} kind `refused`, naming devices whose data would stay behind.
   */
  static async begin(
    context: MachineGuardContext,
    allow: readonly RuleName[],
  ): Promise<MachineGuard> {
    const inventory = await takeInventory(context.qmp);
    const guard = new MachineGuard(context, allow, await MachineWatch.begin(context));
    try {
      guard.#judge(staysBehindIn(inventory), "source-not-fit", "source", []);
    } catch (error) {
      guard[Symbol.dispose]();
      throw error;
    }
    return guard;
  }

  private constructor(
    context: MachineGuardContext,
    allow: readonly RuleName[],
    watch: MachineWatch,
  ) {
    this.#context = context;
    this.#allow = allow;
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
    const { qmp } = this.#context;
    const inventory: Inventory = await takeInventory(qmp);
    const differences = await compareWith(peer, inventory, qmp, signal);
    if (!differences) return this.#warn("machines-not-compared", NOT_COMPARED);
    const isRefused = judge(differences, this.#allow).refused.length > 0;
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
    const { refused, warned, noted } = judge(differences, this.#allow);
    for (const { message } of noted) this.#context.log.log("info", message);
    for (const { rule, message } of warned) this.#warn(rule, message);
    if (refused.length > 0) throw refusal(code, side, [...refused.map(worded), ...more]);
  }

  #warn(code: WarningCode, message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#context.report({ event: "warning", code, message });
  }
}
