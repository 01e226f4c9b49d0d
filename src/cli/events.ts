import type { MigrationEvent, ReportedError, Side } from "../migrate/mod.ts";

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
    readonly error: ReportedError | null;
  }
  /** check: what was found. */
  | {
    readonly event: "check";
    readonly role: Side;
    readonly disks: readonly {
      readonly name: string;
      readonly sizeBytes: number;
      readonly format: string;
    }[];
    readonly problems: readonly { readonly side: Side; readonly message: string }[];
    readonly warnings: readonly string[];
  };
