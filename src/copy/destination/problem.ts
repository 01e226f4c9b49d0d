import type { ErrorCode } from "../../migrate/mod.ts";

/** A reason to refuse a copy. */
export interface CopyProblem {
  /** For scripts. */
  readonly code: ErrorCode;
  /** For people. */
  readonly message: string;
}
