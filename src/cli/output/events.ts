import type { Logger } from "../../io/mod.ts";
import type {
  Connections,
  DiskProgress,
  MigrationEvent,
  Phase,
  RamProgress,
  ReportedError,
  Side,
  Verdict,
} from "../../migrate/mod.ts";

/** How the connection of a session is, or the connections. */
export interface LinkState {
  /** `down`: some connection is lost. */
  readonly state: "up" | "down";
  /** Seconds until the session is given up; `null` while all are up. */
  readonly graceLeft: number | null;
  /** Absent where there is one. */
  readonly connections?: Connections;
}

/** What `recover` finds: a verdict, no migration at all, or one whose QEMU has ended. */
export type RecoverVerdict = Verdict | "nothing" | "gone";

/** What the commands report beside the events of a migration. Sizes in bytes, durations in ms. */
export type CliEvent =
  | MigrationEvent
  /** forward: a connection was carried to its end. */
  | {
    readonly event: "stream";
    readonly channel: string;
    readonly sent: number;
    readonly received: number;
    readonly error: string | null;
  }
  /** forward: all is over. */
  | {
    readonly event: "end";
    readonly totalMs: number;
    readonly streams: number;
    readonly bytes: number;
    readonly compression?: number;
    readonly error: ReportedError | null;
  }
  /** recover: a migration that was cut off, and what is or was done about it. */
  | {
    readonly event: "recover";
    readonly side: Side | null;
    readonly migration: string | null;
    /** What was written down last. */
    readonly state: string | null;
    readonly verdict: RecoverVerdict;
    /** It was done; else it is what would be done. */
    readonly done: boolean;
    /** QEMU's run state; `null` where it is not there. */
    readonly qemu: string | null;
    /** What the user should do now, a command or a sentence each. */
    readonly next: readonly string[];
  }
  /** check: what was found. */
  | {
    readonly event: "check";
    readonly role: Side;
    /** The ends that were looked at; `qemuVersion` is `null` where that end did not tell it. */
    readonly ends?: readonly { readonly side: Side; readonly qemuVersion: string | null }[];
    readonly disks: readonly {
      readonly name: string;
      readonly sizeBytes: number;
      readonly format: string;
    }[];
    readonly problems: readonly { readonly side: Side; readonly message: string }[];
    readonly warnings: readonly string[];
    readonly notes: readonly string[];
    /** How the two machines differ, as the rules of the comparison name it. */
    readonly differences: readonly {
      readonly rule: string;
      readonly severity: "refuse" | "warn" | "note";
      readonly message: string;
    }[];
  }
  /** migrate --launch --dry-run: what would be done, in this order. */
  | {
    readonly event: "plan";
    /** `command`: as a shell reads it, on the host of that side. */
    readonly commands: readonly { readonly side: Side; readonly command: string }[];
  }
  | CopyEvent
  /** status --serve: the page is there, at this address with its token. */
  | { readonly event: "serving"; readonly url: string }
  | StatusEvent
  /** status: a directory of a run whose process does not answer. */
  | {
    readonly event: "silent";
    readonly runDir: string;
    /** The process is gone. */
    readonly stale: boolean;
    readonly reason: string;
  };

/** An image of a copy. Sizes in bytes. */
export interface CopiedImageEvent {
  /** Path at the source; absent at the destination. */
  readonly path?: string;
  /** Path at the destination. */
  readonly to: string;
  /** Virtual size, and the data in it. */
  readonly sizeBytes?: number;
  readonly dataBytes?: number;
  /** What it takes at the destination; `null` where unknown. */
  readonly allocatedBytes: number | null;
  /** With `--delta`: data that was not sent, because the destination had it. */
  readonly skippedBytes?: number;
  /** With `--verify`: what was compared; see the same of a migration. */
  readonly verify?: {
    readonly blocks: number;
    readonly bytes: number;
    readonly seconds: number;
    readonly differed: number;
    readonly rootHash: string;
  };
}

/** copy, receive --copy: all is over. */
export interface CopyEvent {
  readonly event: "copy";
  /** Which end this is. */
  readonly side: Side;
  readonly outcome: "copied" | "failed" | "cancelled";
  readonly images: readonly CopiedImageEvent[];
  readonly totalMs: number;
  /** Bytes that crossed, both directions. */
  readonly bytes: number;
  readonly error: ReportedError | null;
  /** What the user should do now, a sentence each. */
  readonly next: readonly string[];
}

/** The last event of a migration or of a copy. */
export type Result = (MigrationEvent & { readonly event: "result" }) | CopyEvent;

/** Whether a source at the other end of a pipe reports this itself, beside the warnings that it shows. */
export function isSourcesToReport(event: MigrationEvent, log: Logger): boolean {
  if (log.debugEnabled) return false;
  return event.event !== "warning" || event.code === "source-left";
}

/** status: how a running migration is. */
export interface StatusEvent {
  readonly event: "status";
  readonly role: Side;
  readonly pid: number;
  readonly runDir: string;
  /** The QMP socket, an absolute path; empty for a domain of libvirt and for a copy. */
  readonly qmp: string;
  /** URI of the libvirt whose domain it is; absent for a QEMU that vmferry drives by QMP. */
  readonly libvirt?: string;
  /** Present for a copy: its images at the source, absolute paths; empty at its destination. */
  readonly copy?: readonly string[];
  readonly guest: { readonly name: string | null; readonly uuid: string | null };
  /** `null` while a receive waits for its source. */
  readonly phase: Phase | null;
  /** Where a receive listens. */
  readonly address: string | null;
  readonly disks: readonly DiskProgress[];
  readonly ram: RamProgress | null;
  readonly rate: number;
  /** Bytes that crossed so far, as a share of those without compression; missing if there was none. */
  readonly compression?: number;
  readonly eta: number | null;
  readonly link: LinkState;
  /** Bytes per second; `null`: no limit, or not this end's to set. */
  readonly bandwidth: number | null;
  /** Of `--host-bandwidth`, bytes per second; absent where there is none. */
  readonly share?: number;
  readonly maxDowntimeMs: number | null;
  /** Why it is being undone, as text; `null` while it goes on. */
  readonly ending: string | null;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly elapsedMs: number;
  /** Steps for a guest that changes its RAM faster than RAM crosses: those that were taken, as text. */
  readonly steps?: readonly string[];
  /** The latest ones. */
  readonly warnings: readonly string[];
}
