import type { Report } from "../../migrate/mod.ts";
import type { RpcPeer } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { LaunchHost } from "./host.ts";
import type { LaunchJournal } from "./record.ts";

/**
 * What a source may have this end start. `login`: it came over ssh's standard input and output, and
 * may do what the login may. `network`: only `qemu-system-*` from PATH, no option that runs programs,
 * no file in a directory of the system (allow.ts). `any`: the same as `login`, over the network
 * (`--launch-any`).
 */
export type LaunchTrust = "login" | "network" | "any";

/** A QEMU that waits for its migration. */
export interface StartedQemu {
  /** Path of its QMP socket. */
  readonly qmp: string;
  /** The migration that it is for, by its source's name. */
  readonly migration: string;
  /** Such as `unit vmferry-vm1.service`, `process 4711` or `the one of --start`. */
  readonly what: string;
  /** File or journal with its output; empty where vmferry did not start it itself. */
  readonly log: string;
}

/** What the destination of a launch needs. */
export interface LaunchDestinationOptions {
  /** This host. */
  readonly host: LaunchHost;
  /** What a source may ask for. */
  readonly trust: LaunchTrust;
  /** Where the effects on this host are recorded. */
  readonly journal: LaunchJournal;
  /** A source begins its launch in `session`: no other may begin one. */
  readonly claimed: (session: Session) => Promise<void>;
  /**
   * QEMU answers on its QMP socket. Opens that, makes the destination's migration, and has it serve the
   * session with the same peer (`DestinationMigration.serve(session, rpc)`): the source's next call is one of a migration.
   * A rejection refuses the launch, with everything undone.
   *
   * @returns the command that recovers the migration at this end.
   */
  readonly started: (qemu: StartedQemu, session: Session, rpc: RpcPeer) => Promise<string>;
  /** Gets the events. */
  readonly report: Report;
}
