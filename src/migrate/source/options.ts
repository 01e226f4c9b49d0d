import type { Acceptor, Clock, Logger } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { DiskDescription, GuestDescription } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { Report, VerifiedDisk } from "../events.ts";
import type { JournalStore, SourceRecord } from "../journal.ts";
import type { LastWords } from "../last_words.ts";
import type { OwnIntroduction } from "../session/introduce.ts";
import type { Limits } from "../limits.ts";
import type { RuleName } from "../machine/mod.ts";
import type { RamChoices } from "../ram_choices.ts";
import type { HostAccess, RunDir } from "../storage/access.ts";
import type { DestinationPeer } from "./destination_peer.ts";

/** Builds the destination by calls to it, for these disks, which are to be copied. */
export type Arrange = (
  peer: DestinationPeer,
  given: {
    readonly migration: string;
    readonly guest: GuestDescription;
    readonly disks: readonly DiskDescription[];
    readonly signal: AbortSignal;
  },
) => Promise<void>;

/** The parts and settings of a source's migration. */
export interface SourceOptions {
  /** QMP of the source's QEMU, for this migration alone. */
  readonly qmp: QmpClient;
  /** The QMP socket's absolute path, for the journal. */
  readonly qmpPath: string;
  /** The destination's address without any secret, for the journal. */
  readonly destination: string;
  /** Makes a session; called once the source is checked, and again to resume or to ask who runs the guest. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  /**
   * Builds the destination before it is compared with the source; not called where a migration resumes.
   * Default: the destination is there.
   */
  readonly arrange?: Arrange;
  /** Listens on a UNIX socket at the path, which QEMU connects to. */
  readonly listen: (path: string) => Promise<Acceptor>;
  /** Removes a file; a missing one is no error. */
  readonly removeFile: (path: string) => Promise<void>;
  /** The run directory: sockets for QEMU, journal. */
  readonly runDir: RunDir;
  /** Where the record is written before each effect. */
  readonly journal: JournalStore<SourceRecord>;
  /** The record of a process that was killed, to resume its migration. */
  readonly resume: SourceRecord | undefined;
  /** Names of the disks to copy; none = every disk that can be mirrored. */
  readonly disks: readonly string[];
  /** Names of disks on storage that both hosts share: they are not copied. */
  readonly shared: readonly string[];
  /** Names of disks that the destination has old copies of, to be overwritten. */
  readonly reuse: readonly string[];
  /**
   * `top`: only the uppermost image of each disk is copied, and the destination's disks have the same
   * images below. Default: `full`, everything.
   */
  readonly sync?: "full" | "top";
  /** With `top`: compare the contents of the images below, too. */
  readonly verifyBase?: boolean;
  /** What the destination's disks hold already is not sent. Default: false. */
  readonly delta?: boolean;
  /** Both ends' disks are compared before the guest moves. Default: false. */
  readonly verify?: boolean;
  /** How RAM crosses. Default: as pre-copy in one stream. */
  readonly ram?: RamChoices;
  /** What a look at the disks' storage needs from the host. */
  readonly host: HostAccess;
  /** Path of a socket by which vmferry reads QEMU's disks; QEMU makes it. */
  readonly compareSocket: string;
  /** Bandwidth and downtime, which `vmferry set` may change. */
  readonly limits: Limits;
  /** How long the session and the mirrors wait for a lost connection or a killed tool to come back, ms. */
  readonly graceMs: number;
  /** QEMU's log since the migration began. Default: it cannot be read. */
  readonly lastWords?: LastWords;
  /** Ends the source's QEMU once the guest runs at the destination (QMP `quit`). */
  readonly quitSource: boolean;
  /**
   * Called once the guest runs at the destination, before QEMU is ended: keeps the source from starting the
   * guest again. Must not reject. Returns why QEMU must not be ended, if so. Default: nothing to do.
   */
  readonly departed?: () => Promise<string | undefined>;
  /** Rules of the comparison of both machines whose refusals the user overrides. */
  readonly allow: readonly RuleName[];
  /**
   * Called once every disk is copied and before RAM crosses, while the guest runs. A rejection fails the
   * migration. `signal` is aborted when it fails otherwise. Default: nothing to do.
   */
  readonly beforeSwitchover?: (signal: AbortSignal) => Promise<void>;
  /** What the destination's report shows of this end. Default: nothing. */
  readonly introduction?: OwnIntroduction;
  /** Gets each event. */
  readonly report: Report;
  /** Time, injected. */
  readonly clock: Clock;
  /** The debug log. */
  readonly log: Logger;
  /** Aborted when the user cancels; its reason is reported. */
  readonly signal: AbortSignal;
}

/** The result of a migration. */
export interface Migrated {
  /** QEMU's figure (`query-migrate`, `downtime`), ms; `null` where QEMU did not give it. */
  readonly downtimeMs: number | null;
  /**
   * From the guest's STOP at the source to the destination's answer that it runs, ms; `null` for a guest
   * that was paused.
   */
  readonly pauseMs: number | null;
  /** QEMU's run state at the destination; `null` where only a killed process knew it. */
  readonly guest: string | null;
  /** Bytes that crossed the tunnel, both directions. */
  readonly bytes: number;
  /** As many as there would have been without compression. */
  readonly carried: number;
  /** Disks on which the guest's discards were dropped while they were mirrored. */
  readonly discarded: readonly string[];
  /** With `--delta`: bytes of all disks that were not sent; missing where another process has copied them. */
  readonly skipped?: number;
  /** With `--verify`: what was compared; missing where another process has done it. */
  readonly verify?: readonly VerifiedDisk[];
}
