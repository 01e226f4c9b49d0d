import type { Acceptor, Clock, Logger } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { Report } from "../events.ts";
import type { JournalStore, SourceRecord } from "../journal.ts";
import type { LastWords } from "../last_words.ts";
import type { Limits } from "../limits.ts";
import type { RuleName } from "../machine/mod.ts";
import type { HostAccess, RunDir } from "../storage/access.ts";

export interface SourceOptions {
  readonly qmp: QmpClient;
  /** The QMP socket's absolute path, for the journal. */
  readonly qmpPath: string;
  /** The destination's address without any secret, for the journal. */
  readonly destination: string;
  /** Makes the session; called once the source is known to be fit, and again to ask who runs. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  readonly listen: (path: string) => Promise<Acceptor>;
  readonly removeFile: (path: string) => Promise<void>;
  readonly runDir: RunDir;
  readonly journal: JournalStore<SourceRecord>;
  /** What a process that was killed has written down, to go on from there. */
  readonly resume: SourceRecord | undefined;
  /** Names of the disks to take; none = every one that can be mirrored. */
  readonly disks: readonly string[];
  /** Names of disks that both ends share: they stay where they are. */
  readonly shared: readonly string[];
  /** Names of disks that the destination has old copies of, to be overwritten. */
  readonly reuse: readonly string[];
  readonly host: HostAccess;
  /** Where QEMU may make a socket by which its disks are read. */
  readonly compareSocket: string;
  readonly limits: Limits;
  /** How long the session and QEMU's mirrors wait for a tool or a connection that went, ms. */
  readonly graceMs: number;
  /** QEMU's log since the migration began. Default: it cannot be read. */
  readonly lastWords?: LastWords;
  readonly quitSource: boolean;
  /** Rules of the comparison of both machines whose refusals the user overrides. */
  readonly allow: readonly RuleName[];
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborted when the user wants out; its reason is told. */
  readonly signal: AbortSignal;
}

/** What a migration came to, when it came to something. */
export interface Migrated {
  readonly downtimeMs: number | null;
  readonly pauseMs: number | null;
  /** QEMU's run state at the destination; `null` where another process has heard it. */
  readonly guest: string | null;
  readonly bytes: number;
  /** Disks on which the guest's discards were dropped while they were mirrored. */
  readonly discarded: readonly string[];
}
