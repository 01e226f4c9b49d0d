/**
 * What a report says, as the page holds it in JSON (docs/reference/report.md). Sizes in bytes, times in ms since the
 * beginning of the run.
 *
 * @module
 */
import type { DiskProgress, Phase, RamProgress, Side } from "../../migrate/mod.ts";
import type { Result } from "../output/events.ts";

/** A flag or argument of the command, as it was given. */
export interface Setting {
  readonly name: string;
  readonly value: string;
}

/** The command that runs, as the report shows it. */
export interface RunAbout {
  readonly command: string;
  readonly side: Side;
  /** Name of this host. */
  readonly host: string | null;
  readonly settings: readonly Setting[];
}

/** Which guest it is. */
export interface Identified {
  readonly guest: { readonly name: string | null; readonly uuid: string | null };
}

/** One end of the migration, as far as this end knows it. */
export interface ReportedEnd {
  readonly side: Side;
  /** Name of the host. */
  readonly host: string | null;
  /** Version of vmferry. */
  readonly vmferry: string | null;
  /** Version of QEMU. */
  readonly qemu: string | null;
  /** The command, such as `migrate`. */
  readonly command: string | null;
  /** Flags and arguments that were given; the others have their defaults. */
  readonly settings: readonly Setting[];
}

/** A stretch of time; `toMs` is `null` while it lasts. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number | null;
}

/** Something that was reported for people. */
export interface Noted {
  readonly atMs: number;
  readonly kind: "warning" | "step" | "error" | "note";
  /** Code of a warning or an error. */
  readonly code?: string;
  readonly message: string;
}

/** Measured values in columns: the same index is the same moment; `null`: not known then. */
export interface SampleColumns {
  readonly atMs: readonly number[];
  /** Bytes on the wire so far, both directions. */
  readonly wireBytes: readonly (number | null)[];
  /** Bytes per second, as without compression. */
  readonly rate: readonly (number | null)[];
  /** Round trip of the connection, ms. */
  readonly rttMs: readonly (number | null)[];
  readonly ramLeft: readonly (number | null)[];
  /** Bytes of RAM that the guest changes each second. */
  readonly dirtyRate: readonly (number | null)[];
  readonly throttlePercent: readonly (number | null)[];
  /** By the disk's name: share of it that was sent, percent. */
  readonly disks: readonly {
    readonly name: string;
    readonly percent: readonly (number | null)[];
  }[];
}

/** A report. */
export interface ReportData {
  readonly format: "vmferry-report";
  /** Of the format; members may be added without a new version. */
  readonly version: 1;
  /** RFC 3339: when this was written. */
  readonly written: string;
  readonly role: Side;
  readonly migration: string | null;
  readonly guest: { readonly name: string | null; readonly uuid: string | null };
  /** Where a receiving end listens, without any ticket. */
  readonly address: string | null;
  readonly startedAt: string;
  /** RFC 3339; `null` while it runs. */
  readonly endedAt: string | null;
  readonly elapsedMs: number;
  readonly ends: readonly ReportedEnd[];
  readonly phases: readonly (Span & { readonly phase: Phase })[];
  /** Lost connections. */
  readonly cuts: readonly (Span & { readonly attempts: number })[];
  /** While the guest was paused at the source. */
  readonly pauses: readonly Span[];
  /** Passes over RAM. */
  readonly passes: readonly {
    readonly atMs: number;
    readonly pass: number;
    /** Bytes of RAM that had crossed when the pass began. */
    readonly sentBytes: number;
    readonly dirtyRate: number;
  }[];
  readonly events: readonly Noted[];
  /** How many events, cuts, pauses and passes are missing in the middle of their lists. */
  readonly leftOut: number;
  /** As it was reported last. */
  readonly disks: readonly DiskProgress[];
  readonly ram: RamProgress | null;
  readonly samples: SampleColumns;
  /** The last event; `null` while it runs, or where the process was killed. */
  readonly result: Result | null;
}
