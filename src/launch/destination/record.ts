/**
 * The journal of the destination of a launch: which effects on this host have to be undone. Pure.
 *
 * @module
 */

/**
 * `copy`: a file that the source sends, under a temporary name first. `log`: QEMU's output. `pid`: the
 * file in which a QEMU without a unit writes down its process. `by-qemu`: a socket or file that QEMU makes.
 */
export type MadeKind = "directory" | "image" | "copy" | "log" | "pid" | "by-qemu";

/** Something that the launch makes in the file system. */
export interface MadeRecord {
  readonly kind: MadeKind;
  readonly path: string;
  /** The name of a copy while it arrives; `null` for anything else. */
  readonly temporary: string | null;
  /** When its creation began, ms since 1970; `null` before. */
  readonly begunAt: number | null;
  /**
   * Device, inode and birth, which another file with its path does not have; `null` before it was
   * created.
   */
  readonly identity: string | null;
}

/** A systemd unit. */
export interface UnitRecord {
  /** Such as `vmferry-vm1.service`. */
  readonly name: string;
  readonly scope: "system" | "user";
}

/** A QEMU that commands of the user start and stop. */
export interface SiteRecord {
  /** Starts it, by sh. */
  readonly start: string;
  /** Ends it, by sh. */
  readonly stop: string;
  /** How long each may take, and QEMU to answer or to end after it, ms. */
  readonly timeoutMs: number;
  /** The guest, for the environment of the commands. */
  readonly guest: { readonly name: string | null; readonly uuid: string | null };
}

/** The QEMU that the launch starts. */
export interface QemuRecord {
  /** Its transient unit, whose description has the migration; `null`: a process of its own. */
  readonly unit: UnitRecord | null;
  /** The file in which a process of its own has written down its pid and start time; `null` with a unit. */
  readonly pidFile: string | null;
  /** The commands that start and stop it; missing or `null`: vmferry itself does. Neither unit nor pid file then. */
  readonly site?: SiteRecord | null;
}

/** A record: the whole state, so that the last one counts. */
export interface LaunchRecord {
  /** Version of this shape. */
  readonly version: 1;
  /** Whose record it is. */
  readonly side: "launch";
  /** The source's name of this migration. */
  readonly migration: string;
  /** The guest's name here: a part of the names of its unit, log and directory. */
  readonly name: string;
  /**
   * `preparing`: directories, images and copies. `starting`: QEMU is started. `started`: it answers,
   * and a migration may come. `committed`: the guest is here. `undone`: nothing is left.
   */
  readonly state: "preparing" | "starting" | "started" | "committed" | "undone";
  /** The guest may run here: nothing is removed and no process ended. */
  readonly mayHaveGuest: boolean;
  /** Its process undoes it; missing: it does not. */
  readonly undoing?: boolean;
  /** Existing images that it overwrites; missing: none. */
  readonly reused?: readonly string[];
  /** The QMP socket of the QEMU. */
  readonly qmp: string;
  /** What the launch makes, in the order of its creation. */
  readonly made: readonly MadeRecord[];
  /** File with QEMU's output; `null`: systemd's journal. */
  readonly log: string | null;
  /** The QEMU itself. */
  readonly qemu: QemuRecord;
}

/** Where the records are kept. */
export interface LaunchJournal {
  /** Adds a record; it is on the disk when this resolves. */
  write(record: LaunchRecord): Promise<void>;
  /** The other launches under way on this host whose QEMU makes the same QMP socket, by their migrations. */
  rivals(qmp: string): Promise<readonly string[]>;
  /** All other launches under way on this host. */
  others(): Promise<readonly LaunchRecord[]>;
}

/**
 * The record in a line of a journal; `undefined` where it belongs to something else than a launch.
 *
 * @throws {Error} when this version does not understand it.
 */
export function parseLaunchRecord(value: unknown): LaunchRecord | undefined {
  const record = Object(value) as LaunchRecord;
  if (record.side !== "launch") return undefined;
  const isWhole = record.version === 1 &&
    ["migration", "name", "state", "qmp"]
      .every((member) => typeof record[member as keyof LaunchRecord] === "string") &&
    typeof record.mayHaveGuest === "boolean" && Array.isArray(record.made) &&
    typeof record.qemu === "object";
  if (!isWhole) throw new Error("it is from another version of vmferry");
  return record;
}
