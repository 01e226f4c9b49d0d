/**
 * The outcome of every fault in every phase. The matrix compares each cell that it plays with this table,
 * and docs/reliability.md shows it.
 *
 * @module
 */
import { FAULTS } from "./faults.ts";
import { PHASES } from "./phases.ts";

/**
 * Where the guest is in the end (S source, D destination, - gone with its QEMU, which was killed), then the
 * exit code of `migrate`, or of its second start where it was killed.
 */
export type Outcome = `${"S" | "D" | "-"} ${number}`;

/**
 * A line a phase, a column a fault, in the order of {@link FAULTS}. An empty cell is not played. Two
 * outcomes in a cell: the fault races with the migration, and either may win.
 */
// deno-fmt-ignore
const TABLE: Readonly<Record<string, string>> = {
  //                    kill -9 tool  kill -9 QEMU  SIGTERM       SIGSTOP       link
  //                    src   dest    src   dest    src   dest    src   dest    short good    ENOSPC cancel
  "prepare":           "D 0 | S 1   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | S 1  | S 5",
  "probe":             "D 0 | S 1   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | S 1  | S 5",
  "mirror, early":     "D 0 | D 0   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | S 1  | S 5",
  "mirror, late":      "D 0 | D 0   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | D 0  | S 5",
  // A cancel starts as the hold ends, and arrives before the guest is handed over or while it is.
  "ready":             "D 0 | D 0   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | D 0  | S 5 or D 0",
  "ram":               "S 1 | S 1   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | D 0  | S 5",
  "pre-switchover":    "S 1 | S 1   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | D 0  | S 5 or D 0",
  "cancel - continue": "S 1 | S 1   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | D 0  | S 5 or D 0",
  "finish sent":       "D 0 | D 0   | D 0 | S 4   | D 0 | D 0   | D 0 | D 0   | D 0 | D 4   |      | D 0",
  "guest runs":        "D 0 | D 0   | D 0 | S 4   | D 0 | D 0   | D 0 | D 0   | D 0 | D 4   |      | D 0",
  "source ends":       "D 0 | D 0   | D 0 | - 0   | D 0 | D 0   | D 0 | D 0   | D 0 | D 0   |      | D 0",
  "postcopy, switch":  "S 1 | S 1   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | D 0  | S 5 or D 0",
  "postcopy, device":  "S 1 | S 1   | - 1 | S 1   | S 5 | S 1   | D 0 | D 0   | D 0 | S 1   | D 0  | S 5 or D 0",
  // From the switch on the guest needs both QEMUs, until the rest of its RAM has crossed.
  "postcopy, finish sent": "D 0 | D 0 | - 4 | S 4 | D 0 | D 0   | D 0 | D 0   | D 0 | D 4   |      | D 0",
  "postcopy, early":   "D 0 | D 0   | - 4 | S 4   | D 0 | D 0   | D 0 | D 0   | D 0 | D 4   |      | D 0",
  // The rest of RAM may have left the source's QEMU before that ends.
  "postcopy, late":    "D 0 | D 0   | - 4 or D 0 | S 4   | D 0 | D 0   | D 0 | D 0   | D 0 | D 4   |      | D 0",
};

/** Phase, fault, and the outcomes that are allowed there; of cells that are played. */
export interface Cell {
  readonly phase: string;
  readonly fault: string;
  readonly outcomes: readonly Outcome[];
}

/** All cells of the table, phase by phase. */
export const CELLS: readonly Cell[] = Object.entries(TABLE).flatMap(([phase, line]) =>
  cellsOf(phase, line)
);

/**
 * The outcomes that are allowed for a fault in a phase.
 *
 * @throws {Error} when the table has no such cell.
 */
export function outcomesOf(phase: string, fault: string): readonly Outcome[] {
  const cell = CELLS.find((c) => c.phase === phase && c.fault === fault);
  if (!cell) throw new Error(`tests/matrix/outcomes.ts has no outcome of ${fault} in ${phase}`);
  return cell.outcomes;
}

/** Cells as a Markdown table, a line a phase, a column a fault. */
export function tableOf(cells: readonly Cell[]): string {
  const among = (all: readonly { readonly name: string }[], key: "phase" | "fault") =>
    all.map(({ name }) => name).filter((name) => cells.some((cell) => cell[key] === name));
  const phases = among(PHASES, "phase");
  const faults = among(FAULTS, "fault");
  const textOf = (phase: string, fault: string) =>
    cells.find((c) => c.phase === phase && c.fault === fault)?.outcomes.join(" or ") ?? "";
  return [
    `| phase | ${faults.join(" | ")} |`,
    `| --- |${" --- |".repeat(faults.length)}`,
    ...phases.map((p) => `| ${p} | ${faults.map((f) => textOf(p, f)).join(" | ")} |`),
  ].join("\n");
}

function cellsOf(phase: string, line: string): Cell[] {
  const texts = line.split("|").map((text) => text.trim());
  if (texts.length !== FAULTS.length) {
    throw new Error(`${phase}: ${texts.length} cells for ${FAULTS.length} faults`);
  }
  return FAULTS.flatMap(({ name: fault }, i) => {
    const text = texts[i]!;
    return text === "" ? [] : [{ phase, fault, outcomes: text.split(" or ").map(outcome) }];
  });
}

function outcome(text: string): Outcome {
  if (!/^[SD-] \d$/.test(text)) throw new Error(`"${text}": expected S, D or -, and an exit code`);
  return text as Outcome;
}
