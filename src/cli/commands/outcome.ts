import { asMigrationError, type MigrationError } from "../../migrate/mod.ts";

/** How long, at least, a source that lost its session may take to ask for its guest, ms. */
const ASKED_AT_LEAST_MS = 10_000;

/** Waits for the outcome of a destination. @returns why the migration failed, if it did. */
export async function outcomeOf(
  migration: { outcome(): Promise<void> },
): Promise<MigrationError | undefined> {
  try {
    await migration.outcome();
    return undefined;
  } catch (error) {
    return asMigrationError(error, "destination");
  }
}

/** How long a source without a session may take to come back and ask for the outcome, ms. */
export function askedMs(graceMs: number): number {
  return graceMs + Math.max(graceMs, ASKED_AT_LEAST_MS);
}
