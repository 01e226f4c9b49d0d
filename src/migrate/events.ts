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
export type Phase =
  /** Others run on this host (`--max-parallel`). */
  | "waiting"
  | "launch"
  | "prepare"
  /** Images of a guest that is shut off. */
  | "copy"
  | "mirror"
  /** Both ends' disks are compared (`--verify`). */
  | "verify"
  | "ram"
  | "switchover"
  | "handover"
  /** The guest runs at the destination, and the rest of its RAM crosses. */
  | "postcopy"
  | "done";

/** A step for a guest that changes its RAM faster than RAM crosses. */
export type LadderStep = "auto-converge" | "postcopy";

/** Which of the two ends. */
export type Side = "source" | "destination";

/** How many of a session's connections are lost (`--connections`). */
export interface Connections {
  /** So many are lost. */
  readonly down: number;
  /** So many there are. */
  readonly of: number;
}

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
  /** Each write of the guest waits for the destination; absent where it does not. */
  readonly copyMode?: "write-blocking";
  /** How long a write of the guest took on average since the last report, ms; absent without any. */
  readonly writeMs?: number;
  /** With `--delta`: bytes that were not sent, because the destination's disk had them. */
  readonly skipped?: number;
  /** With `--verify`: bytes that were found to be the same at both ends. */
  readonly verified?: number;
}

/** With `--verify`: what was compared of a disk. */
export interface VerifiedDisk {
  /** Name of the disk: qdev id, device name or node name. */
  readonly disk: string;
  /** Blocks of 64 KiB of the disk. */
  readonly blocks: number;
  /** Bytes that were compared, repeated comparisons included. */
  readonly bytes: number;
  /** How long both ends compared, all disks together. */
  readonly seconds: number;
  /**
   * The root hash of what the disk held when the guest was paused, in hexadecimal digits; `null` where a block
   * is not proved, or there was no time to compute it.
   */
  readonly rootHash: string | null;
  /** Blocks that were not compared after the last write to them. */
  readonly unproved: number;
  /** Blocks that differed, and were sent again. */
  readonly differed: number;
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
  /** Share of the guest's CPU time that QEMU takes from it (auto-converge), percent; absent without. */
  readonly throttlePercent?: number;
  /** With `--xbzrle`: pages that crossed as their changes, their bytes, and pages that could not. */
  readonly xbzrle?: {
    readonly pages: number;
    readonly bytes: number;
    readonly cacheMisses: number;
    readonly overflow: number;
  };
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
    /** It takes images of a guest that is shut off. */
    readonly copy?: true;
  }
  /** Which migration it is, as soon as an end knows: the same id on both hosts. */
  | { readonly event: "migration"; readonly migration: string }
  /** It waits until others on this host have ended (`--max-parallel`); reported once. */
  | {
    readonly event: "waiting";
    /** How many may run. */
    readonly maxParallel: number;
    /** Where they see each other. */
    readonly lockDir: string;
    /** Those that run now. */
    readonly running: readonly { readonly pid: number; readonly what: string }[];
  }
  /** What is known of one host; each part as soon as it is known. */
  | {
    readonly event: "host";
    readonly side: Side;
    readonly qemuVersion?: string;
    /** The host's name. */
    readonly host?: string;
    /** The command that runs there, with the flags and arguments that were given. */
    readonly command?: string;
    readonly settings?: readonly { readonly name: string; readonly value: string }[];
  }
  /** A session with the peer begins; `peerVersion`: of the vmferry there. */
  | { readonly event: "session"; readonly peerVersion: string }
  /** Twice a second while there is a session. */
  | {
    readonly event: "traffic";
    /** Bytes on the wire since the session began, both directions. */
    readonly bytes: number;
    /** The latest round trip of the connection, ms; `null` where none was measured. */
    readonly rttMs: number | null;
  }
  /** The guest was paused at the source, runs there again, or runs at the destination. */
  | { readonly event: "guest"; readonly state: "paused" | "running"; readonly side: Side }
  | { readonly event: "phase"; readonly phase: Phase }
  | {
    readonly event: "progress";
    readonly phase: Phase;
    readonly disks: readonly DiskProgress[];
    readonly ram: RamProgress | null;
    readonly rate: number;
    readonly eta: number | null;
    readonly compression?: number;
  }
  | {
    readonly event: "link";
    readonly state: "up" | "down";
    /** Which attempt to reconnect this is; 0 when the connection was just lost. */
    readonly attempt: number;
    /** Seconds until the session is given up; `null` while the connection is up. */
    readonly graceLeft: number | null;
    /** Of the connections `of` that there are, so many are `down`; absent where there is one. */
    readonly connections?: Connections;
  }
  /** The program is sent to the host of the destination; only while that takes longer than a second. */
  | {
    readonly event: "carry";
    readonly host: string;
    /** Both in bytes. */
    readonly sent: number;
    readonly total: number;
  }
  /** The limits that hold from now on: `vmferry set` has changed them. */
  | {
    readonly event: "limits";
    /** Bytes per second; `null`: no limit. */
    readonly bandwidth: number | null;
    readonly maxDowntimeMs: number | null;
    /** The guest is, or will be, paused for the rest of the copy. */
    readonly pause?: "when-copied" | null;
    /** What is left until `timeoutAction`, ms; `null`: as long as it takes. */
    readonly timeoutMs?: number | null;
    readonly timeoutAction?: "abort" | "pause" | "postcopy";
    /** Whether the guest may be throttled; absent where nothing was said about it. */
    readonly autoConverge?: boolean;
    /** `now`: it has begun; `never`: the ladder does not begin it. */
    readonly postcopy?: "now" | "never";
  }
  /** A step for a guest that changes its RAM faster than RAM crosses; each is reported once. */
  | {
    readonly event: "ladder";
    readonly step: LadderStep;
    /** For people, with the rates. */
    readonly message: string;
    /** How fast RAM crosses, bytes per second. */
    readonly rate: number;
    /** What the last pass over RAM had to send, bytes. */
    readonly left: number;
    /** What the guest changes, bytes per second; `null` where QEMU did not measure it. */
    readonly changed: number | null;
    /** Throttle that QEMU is asked for, percent of the guest's CPU time; `null` without one. */
    readonly throttlePercent: number | null;
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
    readonly compression?: number;
    /** With `--delta`: bytes of all disks that were not sent, because the destination had them. */
    readonly skipped?: number;
    readonly error: ReportedError | null;
    /** With `--verify`, of a guest that has arrived. */
    readonly verify?: readonly VerifiedDisk[];
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

/**
 * The member of an event that says how well the tunnel compressed: bytes that crossed, as a share of
 * those without compression. Missing where it saved less than half a percent.
 *
 * @param crossed bytes that crossed.
 * @param carried as many as there would be without compression.
 */
export function compressionOf(crossed: number, carried: number): { compression?: number } {
  const share = carried > 0 ? Math.round(crossed / carried * 1000) / 1000 : 1;
  return share < 0.995 ? { compression: share } : {};
}

/** The warning of a destination whose source gave up before it prepared a migration. */
export function sourceLeft(reason: string): MigrationEvent {
  const message = `The source gave up before its migration began: ${reason}. ` +
    "This end waits for the next try";
  return { event: "warning", code: "source-left", message };
}

/** Where events go. Must not throw and must not wait. */
export type Report = (event: MigrationEvent) => void;
