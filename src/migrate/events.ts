/**
 * What a migration tells while it runs: one union for the bar, the plain lines and `--json`.
 * Sizes are bytes, rates bytes per second, durations milliseconds, `eta` seconds or `null`.
 *
 * @module
 */
import type { ErrorCode } from "./error_table.ts";
import type { WarningCode } from "./warning_table.ts";

/** What is said to a user who cancels a migration that can only go on. */
export const TOO_LATE = "Too late to cancel: the guest is being handed over";

/** The steps of a migration as its user sees them. */
export type Phase = "launch" | "prepare" | "mirror" | "ram" | "switchover" | "handover" | "done";

/** Which of the two ends. */
export type Side = "source" | "destination";

/** How far one disk's mirror is. */
export interface DiskProgress {
  /** Name of the disk: qdev id, device name or node name. */
  readonly name: string;
  /** Bytes sent so far. */
  readonly transferred: number;
  /** What the job has to copy: the disk, and what the guest has changed since. */
  readonly total: number;
  /** Virtual size of the disk. */
  readonly sizeBytes?: number;
  /** The mirror job is ready: every further guest write goes to both. */
  readonly ready: boolean;
}

/** How much of the guest's RAM has crossed. */
export interface RamProgress {
  /** Bytes sent so far, over all passes. */
  readonly transferred: number;
  /** Bytes left in this pass. */
  readonly remaining: number;
  /** Size of the guest's RAM, bytes. */
  readonly total: number;
  /** Bytes of RAM that the guest changes each second. */
  readonly dirtyRate: number;
  /** Passes over RAM so far. */
  readonly iteration: number;
}

/** The first cause of a failure. */
export interface ReportedError {
  /** For scripts; docs/errors.md has its meaning. */
  readonly code: ErrorCode;
  /** With code `peer-error`: the other side's own code. */
  readonly peerCode?: string;
  /** For people, with the side and what to do next. */
  readonly message: string;
  /** `null` where it is not known which end this is, see `check`. */
  readonly side: Side | null;
  /** Where the message tells several things: each on its own. */
  readonly problems?: readonly string[];
}

/** How a migration ended; see the exit codes. */
export type Outcome = "migrated" | "failed" | "cancelled" | "unknown";

/** Everything that is reported; `--json` prints each as a line with `time` added. */
export type MigrationEvent =
  | {
    readonly event: "listening";
    /** The address that the source needs, with the ticket if it has one. */
    readonly address: string;
    /** The ticket was written there, and is not in the address. */
    readonly ticketFile?: string;
    /** A ticket that is good for more than one connecting end, as long as this one listens. */
    readonly reusable?: true;
    /** For a domain of libvirt. */
    readonly libvirt?: true;
    /** It builds the machine that a source describes. */
    readonly launch?: true;
  }
  | { readonly event: "phase"; readonly phase: Phase }
  | {
    readonly event: "progress";
    readonly phase: Phase;
    readonly disks: readonly DiskProgress[];
    readonly ram: RamProgress | null;
    readonly rate: number;
    readonly eta: number | null;
  }
  | {
    readonly event: "link";
    readonly state: "up" | "down";
    /** Which attempt to reconnect this is; 0 when the connection was just lost. */
    readonly attempt: number;
    /** Seconds until the session is given up; `null` while the connection is up. */
    readonly graceLeft: number | null;
  }
  /** The program is sent to the host of the destination; only while that takes longer than a second. */
  | {
    readonly event: "carry";
    readonly host: string;
    /** Both in bytes. */
    readonly sent: number;
    readonly total: number;
  }
  | { readonly event: "warning"; readonly code: WarningCode; readonly message: string }
  | {
    readonly event: "result";
    readonly outcome: Outcome;
    /** QEMU's own figure; `null` when it did not get that far. */
    readonly downtimeMs: number | null;
    /** From STOP at the source to RESUME at the destination. */
    readonly pauseMs: number | null;
    readonly totalMs: number;
    /** Bytes that crossed the tunnel, both directions. */
    readonly bytes: number;
    readonly error: ReportedError | null;
    /**
     * QEMU's run state at the destination when the guest has arrived, such as `running`, `paused` or
     * `suspended`; `null` otherwise, or where it is not known.
     */
    readonly guest?: string | null;
    /** What the user should do now, a command or a sentence each. */
    readonly next: readonly string[];
    /** Of a check, in which no guest was to be moved. */
    readonly check?: true;
  };

/** The warning of a destination whose source gave up before it prepared a migration. */
export function sourceLeft(reason: string): MigrationEvent {
  const message = `The source gave up before its migration began: ${reason}. ` +
    "This end waits for the next try";
  return { event: "warning", code: "source-left", message };
}

/** Where events go. Must not throw and must not wait. */
export type Report = (event: MigrationEvent) => void;
