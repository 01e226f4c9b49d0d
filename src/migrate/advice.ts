import { SessionError } from "../tunnel/mod.ts";
import { rowOf } from "./error_table.ts";
import { MigrationError } from "./errors.ts";

/** After any failure once RAM began to cross: a QEMU accepts one incoming migration in its life. */
const RESTART = "RAM had begun to cross: start the destination's QEMU again with -incoming defer " +
  "before the next try";

/** Disks were copied by then, and a new QEMU does not know whose copies they are. */
const KEPT =
  "the destination's disks hold a copy now: add --reuse NAME to migrate for each one that " +
  "the new QEMU opens again";

/**
 * What to do next after a failure, a clause each; empty where the message says it.
 *
 * @param ramBegan RAM had begun to cross to a QEMU that vmferry drives, or may have.
 * @param isDomain libvirt drives the migration.
 */
export function adviceOn(error: MigrationError, ramBegan = false, isDomain = false): string[] {
  const steps = stepsAfter(error, isDomain);
  if (!ramBegan) return steps;
  return [...steps, ...(rowOf(error.code).restartsQemu ? [] : [RESTART]), KEPT];
}

function stepsAfter(
  { code, side, cause, quoted }: MigrationError,
  isDomain: boolean,
): string[] {
  const row = rowOf(code);
  const { advice, quotedAdvice, destinationAdvice } = isDomain ? { ...row, ...row.domain } : row;
  if (code === "unreachable") {
    // If something answered that is no vmferry, or ssh failed, the message says what is wrong.
    const session = cause instanceof MigrationError ? cause.cause : cause;
    if (!(session instanceof SessionError && session.unanswered)) return [];
  }
  const step = (quoted ? quotedAdvice : undefined) ??
    (side === "destination" ? destinationAdvice : undefined) ?? advice;
  return step === undefined ? [] : [step];
}
