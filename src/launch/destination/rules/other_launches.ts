/**
 * Other launches that are under way on this host: their files are theirs, whether or not a process has
 * them open yet.
 *
 * @module
 */
import { type Clock, delay } from "../../../io/mod.ts";
import { MigrationError } from "../../../migrate/mod.ts";
import type { LaunchJournal, LaunchRecord } from "../record.ts";

/** Longest wait for the undo of another launch, ms: QEMU has 20 s to end. */
const UNDO_MS = 60_000;
/** Pause between two looks, ms. */
const LOOK_MS = 200;

/**
 * Waits until no other launch that is being undone has files at these paths: after a kill of its source the
 * next try begins while the destination still undoes the first one. Gives up after a minute.
 */
export async function afterUndo(
  journal: Pick<LaunchJournal, "others">,
  clock: Clock,
  paths: readonly string[],
): Promise<void> {
  const isInTheWay = (record: LaunchRecord) =>
    record.undoing === true && !record.mayHaveGuest &&
    pathsOf(record).some((path) => paths.includes(path));
  for (const until = clock.now() + UNDO_MS; clock.now() < until;) {
    if (!(await journal.others()).some(isInTheWay)) return;
    await delay(clock, LOOK_MS);
  }
}

/** The other launch that has a file at each path, as text; `undefined` where none has. */
export function launchUsers(
  others: readonly LaunchRecord[],
  paths: readonly string[],
): (string | undefined)[] {
  return paths.map((path) => {
    const user = others.find((record) => pathsOf(record).includes(path));
    return user && nameOf(user);
  });
}

/**
 * Two launches may have found a path or name free at once. Once both records are written, each sees the
 * other.
 *
 * @throws {MigrationError} kind `refused`, code `image-in-use`.
 */
export function refuseOthers(others: readonly LaunchRecord[], mine: LaunchRecord): void {
  for (const other of others) {
    const path = pathsOf(mine).find((path) => pathsOf(other).includes(path));
    if (path === undefined && other.name !== mine.name) continue;
    const what = path === undefined ? "has the same guest name" : `has ${path}`;
    const message = `At the destination ${nameOf(other)} ${what}. Wait for its end, and try again`;
    throw new MigrationError("refused", "image-in-use", "destination", message);
  }
}

function nameOf({ name, migration, undoing }: LaunchRecord): string {
  const state = undoing ? "is being undone" : "is under way";
  return `the launch of ${name} that ${state} (migration ${migration})`;
}

/** Directories are not among them: many guests may have theirs in one. */
function pathsOf({ made, reused = [] }: LaunchRecord): string[] {
  return [
    ...made.filter(({ kind }) => kind !== "directory").map(({ path }) => path),
    ...reused,
  ];
}
