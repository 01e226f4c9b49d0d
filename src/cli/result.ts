import { systemClock } from "../io/mod.ts";
import {
  adviceOn,
  type FailureKind,
  type MigrationError,
  type MigrationEvent,
  type Outcome,
} from "../migrate/mod.ts";
import { EXIT, type ExitCode } from "./exit_code.ts";

const OUTCOMES: Readonly<Record<FailureKind, Outcome>> = {
  refused: "failed",
  failed: "failed",
  cancelled: "cancelled",
  unknown: "unknown",
};

/** What a failure ends the process with. */
export function exitCodeOf(error: MigrationError): ExitCode {
  return EXIT[error.kind];
}

/** The last event of a migration. Times in ms of the system clock, sizes in bytes. */
export function resultEvent(end: {
  readonly startedAt: number;
  readonly bytes: number;
  readonly downtimeMs?: number | null;
  readonly pauseMs?: number | null;
  readonly error?: MigrationError | undefined;
  readonly next?: readonly string[];
}): MigrationEvent {
  return {
    event: "result",
    outcome: end.error ? OUTCOMES[end.error.kind] : "migrated",
    downtimeMs: end.downtimeMs ?? null,
    pauseMs: end.pauseMs ?? null,
    totalMs: Math.round(systemClock.now() - end.startedAt),
    bytes: end.bytes,
    error: end.error?.reported ?? null,
    next: end.next ?? (end.error ? adviceOn(end.error.code) : []),
  };
}
