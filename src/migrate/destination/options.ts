import type { BytePipe, Clock, Logger } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { Report } from "../events.ts";
import type { DestinationRecord, JournalStore } from "../journal.ts";
import type { LastWords } from "../last_words.ts";
import type { DiskChoice } from "../disks/plan.ts";
import type { RunDir } from "../source/options.ts";
import type { DescribeHost } from "../storage/host_facts.ts";

/** What the destination's side of a migration works with. */
export interface DestinationOptions {
  readonly qmp: QmpClient;
  /** The QMP socket's absolute path, for the journal. */
  readonly qmpPath: string;
  /** Where the source reaches this end, for the journal. */
  readonly listen: string;
  /** The command that looks after a migration that was cut off here. */
  readonly recoverCommand: string;
  readonly runDir: RunDir;
  readonly journal: JournalStore<DestinationRecord>;
  /** What a process that was killed has written down, to go on from there. */
  readonly resume: DestinationRecord | undefined;
  /** How long a source may take to come back to a migration that was taken up, ms. */
  readonly graceMs: number;
  /** Told of the session whose source begins its migration, before it is answered. */
  readonly claimed?: (session: Session) => Promise<void>;
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  /** QEMU's log since the migration began. Default: it cannot be read. */
  readonly lastWords?: LastWords;
  readonly connectTcp: (host: string, port: number) => Promise<BytePipe>;
  readonly removeFile: (path: string) => Promise<void>;
  readonly describeHost: DescribeHost;
  /** `--disk` as given; none = every disk that can be mirrored, by the same names. */
  readonly disks: readonly DiskChoice[];
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
}
