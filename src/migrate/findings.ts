import { type ErrorCode, MigrationError } from "./errors.ts";
import type { Side } from "./events.ts";

/** Something that prevents the migration. */
export interface CodedProblem {
  /** For scripts; the code of the refusal. */
  readonly code: ErrorCode;
  /** The side on which it lies. */
  readonly side: Side;
  /** What was found, what was expected and what to do. */
  readonly message: string;
}

/** What a part of the check has found. */
export interface Findings {
  /** Each of these prevents the migration. */
  readonly problems: readonly CodedProblem[];
  /** The migration works, but not as the user may expect. */
  readonly warnings: readonly string[];
  /** Worth knowing, without anything to do. */
  readonly notes: readonly string[];
}

/** Collects findings. */
export class Collected implements Findings {
  readonly problems: CodedProblem[] = [];
  readonly warnings: string[] = [];
  readonly notes: string[] = [];

  /** Adds a problem. */
  problem(side: Side, code: ErrorCode, message: string): void {
    this.problems.push({ code, side, message });
  }

  /** Adds all findings of another part, without repetitions. */
  add(other: Findings): void {
    const isNew = ({ side, message }: CodedProblem) =>
      !this.problems.some((known) => known.side === side && known.message === message);
    this.problems.push(...other.problems.filter(isNew));
    this.warnings.push(...other.warnings.filter((text) => !this.warnings.includes(text)));
    this.notes.push(...other.notes.filter((text) => !this.notes.includes(text)));
  }
}

/**
 * All problems as one refusal. Its code is the first problem's; its side is `null`, and each problem begins
 * with its side, where both sides have problems. Pure.
 *
 * @param problems at least one.
 */
export function refusalOf(problems: readonly CodedProblem[]): MigrationError {
  const [first] = problems;
  if (!first) throw new Error("A refusal without a problem");
  const isOneSided = problems.every(({ side }) => side === first.side);
  const each = problems.map(({ side, message }) => isOneSided ? message : `${side}: ${message}`);
  return new MigrationError(
    "refused",
    first.code,
    isOneSided ? first.side : null,
    each.join("; "),
    {
      problems: each,
    },
  );
}
