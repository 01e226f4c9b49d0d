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
 * Ensures that the guest crosses only to a machine that matches its own: compares both machines before the
 * first byte and again before the RAM, and watches the source's machine in between.
 */
export class MachineGuard implements Disposable {
  readonly #context: MachineGuardContext;
  readonly #watch: MachineWatch;
  /** The rules of --allow. */
  readonly #allow: readonly RuleName[];
  /** The warnings so far. */
  readonly #reported = new Set<string>();

  /**
   * Inspects the source's machine and begins to watch it.
   *
   * @throws {MigrationError} kind `refused`, code `source-not-fit`, naming devices whose data would stay
   * behind.
   * @throws {QmpError | QmpCommandError} when QEMU does not answer.
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
   * Compares both machines in their present state.
   *
   * @param others returns further problems; called only if the migration is refused.
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

  /**
   * Looks for changes of the source's machine now.
   *
   * @throws {MigrationError} code `machine-changed`.
   */
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
    if (this.#reported.has(message)) return;
    this.#reported.add(message);
    this.#context.report({ event: "warning", code, message });
  }
}
