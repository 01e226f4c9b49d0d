import { playCell } from "../../matrix/cell.ts";
import { type Fault, FAULTS } from "../../matrix/faults.ts";
import { type Phase, PHASES } from "../../matrix/phases.ts";
import { singlePass } from "../pair/single_pass.ts";
import { type Scenario, ScenarioContext } from "../support/scenario.ts";

/** Pairs of phase and fault: each at least once, and only quick ones. */
const CELLS: readonly (readonly [phase: string, fault: string])[] = [
  ["prepare", "kill -9 source tool"],
  ["probe", "SIGTERM destination tool"],
  ["probe", "ENOSPC at the destination"],
  ["mirror, early", "kill -9 destination tool"],
  ["mirror, early", "link cut for good"],
  ["mirror, late", "kill -9 source QEMU"],
  ["ready", "kill -9 destination tool"],
  ["ram", "kill -9 destination QEMU"],
  ["ram", "link cut short"],
  ["pre-switchover", "cancel"],
  ["cancel - continue", "SIGTERM source tool"],
  ["finish sent", "SIGSTOP destination tool 10 s"],
  ["guest runs", "SIGSTOP source tool 10 s"],
  ["source ends", "kill -9 source tool"],
  ["postcopy, switch", "kill -9 destination tool"],
  ["postcopy, device", "kill -9 source tool"],
  ["postcopy, finish sent", "link cut short"],
  ["postcopy, early", "kill -9 source tool"],
  ["postcopy, late", "kill -9 destination QEMU"],
];
const AT_ONCE = 3;

/** A tenth of `make matrix`. */
export const scenario: Scenario = {
  name: "matrix",
  about: "no fault in any phase leads to two guests, no guest or leftovers (a tenth of the matrix)",
  timeoutMs: 500_000,
  async run(context) {
    const lacking = singlePass();
    const queue = CELLS.map(([phase, fault]) => ({
      phase: PHASES.find(({ name }) => name === phase)!,
      fault: FAULTS.find(({ name }) => name === fault)!,
    })).filter(({ phase }) => !(phase.postcopy && lacking));
    const cells = queue.length;
    const worker = async () => {
      for (let cell; (cell = queue.shift());) await play(context, cell.phase, cell.fault);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return `${cells} cells${lacking ? `, none of post-copy: ${lacking}` : ""}`;
  },
};

async function play(context: ScenarioContext, phase: Phase, fault: Fault): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: context.dir, prefix: "c" });
  const cell = new ScenarioContext(dir, context.signal);
  try {
    await playCell(cell, phase, fault);
  } catch (error) {
    throw new Error(`${phase.name}, ${fault.name}: ${(error as Error).stack}\n${cell.report()}`);
  } finally {
    await cell[Symbol.asyncDispose]();
  }
}
