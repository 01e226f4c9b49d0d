import type { Row } from "./cell.ts";

const GUEST: Readonly<Record<Row["guest"], string>> = {
  "source": "S",
  "destination": "D",
  "lost with its QEMU": "-",
};

/**
 * All rows as a Markdown table, a line a phase, a column a fault. In a cell: where the guest is in the
 * end (S source, D destination, - its own QEMU was killed), then the exit code of `migrate` (of the one
 * that was started again, where it was killed).
 */
export function tableOf(rows: readonly Row[]): string {
  const phases = [...new Set(rows.map((r) => r.phase))];
  const faults = [...new Set(rows.map((r) => r.fault))];
  const cell = (phase: string, fault: string) => {
    const row = rows.find((r) => r.phase === phase && r.fault === fault);
    return row ? `${GUEST[row.guest]} ${row.migrate.at(-1)}` : "";
  };
  return [
    `| phase | ${faults.join(" | ")} |`,
    `| --- |${" --- |".repeat(faults.length)}`,
    ...phases.map((p) => `| ${p} | ${faults.map((f) => cell(p, f)).join(" | ")} |`),
  ].join("\n");
}
