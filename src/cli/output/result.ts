import { systemClock } from "../../io/mod.ts";
import {
  adviceOn,
  compressionOf,
  ERRORS,
  type FailureKind,
  type MigrationError,
  type MigrationEvent,
  type Outcome,
  type VerifiedDisk,
} from "../../migrate/mod.ts";
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

function trim(disks: readonly string[]): string[] {
  if (disks.length === 0) return [];
  return [
    "run 'fstrim -a' in the guest: it discarded blocks while its disks were copied, which QEMU " +
    `drops then, and they are still allocated at the destination (${disks.join(", ")})`,
  ];
}

/** QEMU announces the NICs when the guest is loaded, and not again at `cont` (7.2 to 11.1). */
const CONTINUE = "'cont' in the destination QEMU's monitor continues the guest; then give " +
  "'announce-self', because QEMU announced its NICs to the network only as it arrived";

/** The QEMU that a launch has started at the destination. */
export interface LaunchedQemu {
  /** Such as `unit vmferry-vm1.service`, `process 4711` or `the one of --start`. */
  readonly what: string;
  /** File or journal with QEMU's output; empty where it is not known. */
  readonly log: string;
}

function afterLaunch({ what, log }: LaunchedQemu, quitSource: boolean): string[] {
  return [
    `at the destination QEMU is ${what}${log === "" ? "" : `; its output: ${log}`}`,
    ...(quitSource ? [] : [
      "end the source's QEMU (QMP quit) when you no longer need it: it stays paused, do not resume it",
    ]),
  ];
}

/** The last event of a migration. Times in ms of the system clock, sizes in bytes. */
export function resultEvent(end: {
  readonly startedAt: number;
  readonly bytes: number;
  /** As many as there would have been without compression. */
  readonly carried?: number;
  readonly downtimeMs?: number | null;
  readonly pauseMs?: number | null;
  readonly error?: MigrationError | undefined;
  /** QEMU's run state at the destination, where the guest has arrived. */
  readonly guest?: string | null;
  /** Disks on which the guest's discards were dropped while they were mirrored. */
  readonly discarded?: readonly string[];
  /** With `--delta`: bytes of all disks that were not sent. */
  readonly skipped?: number;
  /** With `--verify`: what was compared. */
  readonly verify?: readonly VerifiedDisk[];
  /** The destination's QEMU was given its one incoming migration, or may have been. */
  readonly memoryBegan?: boolean | undefined;
  readonly next?: readonly string[];
  /** libvirt drives the migration. */
  readonly isDomain?: boolean;
  /** The destination's QEMU was started for this migration, and is ended with it. */
  readonly isLaunch?: boolean;
  /** The QEMU that was started for the guest. */
  readonly launched?: LaunchedQemu | undefined;
  /** The source's QEMU was ended. */
  readonly quitSource?: boolean;
  /** It is the end of a check: no guest was to be moved. */
  readonly check?: boolean;
}): MigrationEvent {
  return {
    event: "result",
    outcome: end.error ? OUTCOMES[end.error.kind] : "migrated",
    downtimeMs: end.downtimeMs ?? null,
    pauseMs: end.pauseMs ?? null,
    totalMs: Math.round(systemClock.now() - end.startedAt),
    bytes: end.bytes,
    ...compressionOf(end.bytes, end.carried ?? 0),
    ...(end.skipped === undefined ? {} : { skipped: end.skipped }),
    error: end.error?.reported ?? null,
    ...(end.verify ? { verify: end.verify } : {}),
    guest: end.error ? null : end.guest ?? null,
    next: end.next ??
      (end.error
        ? end.isLaunch
          ? nextAfterLaunch(end.error)
          : nextAfter(end.error, end.memoryBegan ?? false, end.isDomain ?? false)
        : [
          ...(end.guest === "paused" ? [CONTINUE] : []),
          ...trim(end.discarded ?? []),
          ...(end.launched ? afterLaunch(end.launched, end.quitSource ?? false) : []),
        ]),
    ...(end.check ? { check: true as const } : {}),
  };
}

/** No QEMU waits, and no copy is left. */
function nextAfterLaunch(error: MigrationError): string[] {
  if (error.kind === "unknown" || !("restartsQemu" in ERRORS[error.code])) return adviceOn(error);
  return [
    "mend what the message names, then give the same command again: what was created is removed",
  ];
}

function nextAfter(error: MigrationError, memoryBegan: boolean, isDomain: boolean): string[] {
  // Never advise to end a QEMU that may run the guest.
  return adviceOn(error, memoryBegan && error.kind !== "unknown", isDomain);
}
