/**
 * The journal of the source of a domain's migration: what a later `vmferry domain` has to know when this
 * process is killed. Pure.
 *
 * @module
 */

/** A record: the whole state, so that the last one counts. */
export interface DomainSourceRecord {
  /** Version of this form. */
  readonly version: 1;
  /** Whose journal it is. */
  readonly side: "source";
  /** Names this migration to the destination. */
  readonly migration: string;
  /** The domain's name at the source. */
  readonly name: string;
  /** The domain's UUID. */
  readonly uuid: string;
  /** URI of the source's libvirt. */
  readonly uri: string;
  /** The destination as it was given, without secrets. */
  readonly destination: string;
  /** The destination's host UUID, as its libvirt has it. Only that host's answer counts. */
  readonly hostUuid: string;
  /** URI of the destination's libvirt. */
  readonly uriThere: string;
  /** The directory of the sockets that the source's QEMU connects to. */
  readonly socketDir: string;
  /** The guest was paused before. */
  readonly wasPaused: boolean;
  /** The source's definition goes with the guest (`--undefinesource`). */
  readonly undefineSource: boolean;
  /**
   * `prepared`: libvirt knows nothing of a migration. `migrating`: virsh was started. `settled`: it is known
   * where the guest is.
   */
  readonly state: "prepared" | "migrating" | "settled";
}

/** Where the records are kept. */
export interface DomainSourceJournal {
  /** Adds a record; it is on the disk when this resolves. */
  write(record: DomainSourceRecord): Promise<void>;
}

const TEXTS = [
  ...["migration", "name", "uuid", "uri", "destination", "hostUuid", "uriThere", "socketDir"],
  "state",
] as const;

/** A value of the journal as a record; `undefined` where it is something else. */
export function parseDomainSourceRecord(value: unknown): DomainSourceRecord | undefined {
  const record = Object(value) as Record<string, unknown>;
  const isWhole = record.version === 1 && record.side === "source" &&
    TEXTS.every((member) => typeof record[member] === "string") &&
    typeof record.wasPaused === "boolean" && typeof record.undefineSource === "boolean";
  return isWhole ? value as DomainSourceRecord : undefined;
}
