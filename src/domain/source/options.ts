import type { Acceptor, BytePipe, Clock, Logger } from "../../io/mod.ts";
import type { RunProgram, StartProgram } from "../../host/mod.ts";
import type { MigrateOptions } from "../../libvirt/mod.ts";
import type { Limits, Report } from "../../migrate/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { CheckSource } from "./plan.ts";
import type { DomainSourceJournal, DomainSourceRecord } from "./record.ts";

/** What the source of a domain's migration needs of its host. */
export interface DomainSourceHost {
  /** Runs virsh and other programs. */
  readonly run: RunProgram;
  /** Starts the `virsh migrate`. */
  readonly start: StartProgram;
  /** Directories in which this user can make one for QEMU's sockets, best first. */
  readonly socketDirs: readonly string[];
  /** A path in the private directory of this run. */
  readonly own: (name: string) => string;
  /** Listens on a UNIX socket of mode 0600. */
  readonly listen: (path: string) => Promise<Acceptor>;
  /** Connects to the libvirt of this host. */
  readonly connectLibvirt: () => Promise<BytePipe>;
  /** Makes a directory of mode 0711, which must not exist. */
  readonly makeDirectory: (path: string) => Promise<void>;
  /** Removes a directory with its sockets. Tolerates one that is gone. */
  readonly removeDirectory: (path: string) => Promise<void>;
  /** The journal of this run. */
  readonly journal: DomainSourceJournal;
}

/** The settings and parts of a domain's migration at the source. */
export interface DomainMigrationOptions {
  /** Name, UUID or id of the domain. */
  readonly name: string;
  /** URI of this host's libvirt. */
  readonly uri: string;
  /** The destination as it is written to the journal, without secrets. */
  readonly destination: string;
  /** Makes a session to the destination. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  /** This host. */
  readonly host: DomainSourceHost;
  /** The options for `virsh migrate`. */
  readonly migrate: MigrateOptions;
  /** What the destination's disks hold already is not sent. */
  readonly delta: boolean;
  /** Checks the domain and both hosts. */
  readonly check: CheckSource;
  /** Bandwidth and downtime, which `vmferry set` may change. */
  readonly limits: Limits;
  /** Records of earlier runs that were killed, or did not learn where the guest is. */
  readonly earlier: readonly DomainSourceRecord[];
  /** Gets each event. */
  readonly report: Report;
  /** Time, injected. */
  readonly clock: Clock;
  /** The debug log. */
  readonly log: Logger;
  /** Aborted when the user cancels; its reason is reported. */
  readonly signal: AbortSignal;
}

/** The result of a domain's migration. */
export interface DomainMigrated {
  /** QEMU's figure; `null` where libvirt does not have it. */
  readonly downtimeMs: number | null;
  /** The state at the destination, such as `running`. */
  readonly guest: string | null;
  /** Bytes that crossed the tunnel, both directions. */
  readonly bytes: number;
  /** As many as there would have been without compression. */
  readonly carried: number;
  /** With `--delta`: bytes of all disks that were not sent; missing where another process has moved it. */
  readonly skipped?: number;
}
