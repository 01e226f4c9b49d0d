/**
 * What a new migration does about an earlier one of its guest that was cut off. Pure.
 *
 * @module
 */
import type { JournalRecord } from "../../migrate/mod.ts";

/** The new migration. */
export interface NextMigration {
  /** It builds its own destination, so that it cannot resume. */
  readonly launches: boolean;
}

/**
 * Whether the new migration undoes the earlier one at the source, as `recover --yes` does, and starts
 * anew: the guest was not handed over, and resuming is impossible or not worth it.
 */
export function startsAnew(record: JournalRecord, { launches }: NextMigration): boolean {
  if (record.side !== "source") return false;
  switch (record.state) {
    case "prepare":
    // RAM's stream cannot be resumed.
    case "ram":
      return launches || endsWithSession(record.destination);
    case "mirror":
      return endsWithSession(record.destination);
    // The guest is paused, or may run at the destination: only the user decides.
    case "switchover":
    case "handover":
    case "postcopy":
    case "unknown":
    case "done":
    case "undone":
      return false;
  }
}

/** Over ssh the destination's vmferry ends with its session, and has undone everything by then. */
function endsWithSession(destination: string): boolean {
  return destination.startsWith("ssh://");
}
