import type { JournalRecord, JournalStore, MigrationError } from "../../migrate/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { LaunchDestinationOptions, StartedQemu } from "./options.ts";

/**
 * The destination's side of a launch. Its source describes a machine, has it built, and has its QEMU
 * started here; from then on a `DestinationMigration` serves the source.
 *
 * Its owner:
 * 1. calls {@link serve} for each session, until {@link started} is set: then sessions are the
 *    migration's;
 * 2. waits for {@link outcome};
 * 3. writes the migration's journal through {@link guard};
 * 4. ends with exactly one of {@link commit}, {@link undo}, {@link keep};
 * 5. removes the run directory, unless {@link mustStay}.
 */
export class LaunchDestination {
  /** Begins nothing yet. */
  constructor(_options: LaunchDestinationOptions) {}

  /** Serves a session that a source has opened: answers the calls of a launch. */
  serve(_session: Session): void {}

  /** The QEMU that it has started; `undefined` before it answered. */
  get started(): StartedQemu | undefined {
    return undefined;
  }

  /** The session that prepared the launch. */
  get source(): Session | undefined {
    return undefined;
  }

  /**
   * Resolves when QEMU runs here and `started` of the options has taken over.
   *
   * @throws {MigrationError} when the launch ended before; everything is undone by then.
   */
  outcome(): Promise<void> {
    return Promise.reject(new Error("not yet"));
  }

  /**
   * The migration's journal for this launch: notes that the guest may run here before a record says so, so
   * that the next run ends no QEMU that has the guest.
   */
  guard(journal: JournalStore<JournalRecord>): JournalStore<JournalRecord> {
    return journal;
  }

  /**
   * The guest is here: keeps its command line in the state directory, and enables a unit if the source
   * asked for one. Never rejects.
   *
   * @returns what could not be done, as text; the guest runs all the same.
   */
  commit(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  /**
   * The migration has failed or was cancelled, and the guest is at the source: ends the QEMU that was
   * started here and removes everything that was created. Waits until nothing is created any more. Does nothing
   * if the guest may be here. Never rejects.
   *
   * @returns what could not be undone, as text.
   */
  undo(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  /** Nobody knows where the guest runs: ends nothing and removes nothing, here or later. */
  keep(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Gives the launch up, unless QEMU was started and {@link outcome} has resolved. Resolves when everything is
   * undone.
   */
  cancel(_reason: MigrationError): Promise<void> {
    return Promise.resolve();
  }

  /** The journal must stay: something is left, or it is not clear where the guest runs. */
  get mustStay(): boolean {
    return false;
  }

  /** Waits until the sources of sessions that no migration serves have left, five seconds at most. */
  leave(): Promise<void> {
    return Promise.resolve();
  }
}
