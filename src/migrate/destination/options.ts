import type { Clock, Logger } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { Report } from "../events.ts";
import type { OwnIntroduction } from "../session/introduce.ts";
import type { DestinationRecord, JournalStore } from "../journal.ts";
import type { LastWords } from "../last_words.ts";
import type { DiskChoice } from "../disks/plan.ts";
import type { HostAccess, RunDir } from "../storage/access.ts";

/** The parts and settings of a destination's migration. */
export interface DestinationOptions {
  /** QMP of the destination's QEMU, for this migration alone. */
  readonly qmp: QmpClient;
  /** The QMP socket's absolute path, for the journal. */
  readonly qmpPath: string;
  /** Where the source reaches this end, for the journal. */
  readonly listen: string;
  /** The command that recovers from a migration whose process was killed here. */
  readonly recoverCommand: string;
  /** The run directory: sockets for QEMU, journal. */
  readonly runDir: RunDir;
  /** Where the record is written before each effect. */
  readonly journal: JournalStore<DestinationRecord>;
  /** The journal of a process that was killed, to resume its migration; `undefined`: a new migration. */
  readonly resume: DestinationRecord | undefined;
  /** How long a source may take to attach to a resumed migration, ms; at least 10 s are granted. */
  readonly graceMs: number;
  /** Called with the session whose source begins its migration, before `prepare` is answered. */
  readonly claimed?: (session: Session) => Promise<void>;
  /** What a look at the disks' storage needs from the host. */
  readonly host: HostAccess;
  /** QEMU's log since the migration began. Default: it cannot be read. */
  readonly lastWords?: LastWords;
  /**
   * Undoes what the destination's owner made for this migration, such as QEMU itself. Called once when the
   * migration was given up and the guest never runs here, after everything in QEMU was undone; the answer to a
   * source's `abort` waits for it unless that source's guest is paused.
   *
   * @returns what could not be undone, as text.
   */
  readonly afterUndo?: () => Promise<readonly string[]>;
  /**
   * Called once before RAM crosses: the disks are copied and the guest runs at the source. A rejection gives the
   * migration up, with QEMU as it was. `signal` is aborted once the outcome is known. Default: nothing to do.
   */
  readonly beforeSwitchover?: (signal: AbortSignal) => Promise<void>;
  /** `--disk` as given; none: every disk that can be mirrored, by the same names. */
  readonly disks: readonly DiskChoice[];
  /** What the source's report shows of this end. Default: no more than QEMU's version. */
  readonly introduction?: OwnIntroduction;
  /** Gets each event. */
  readonly report: Report;
  /** Time, injected. */
  readonly clock: Clock;
  /** The debug log. */
  readonly log: Logger;
}
