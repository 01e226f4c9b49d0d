import { systemClock, withDeadline } from "../../io/mod.ts";

/** Without `tryLock`: how long to lock a file that is free may take, ms. */
const FREE_MS = 200;

/** What Deno's files have from 2.7 on. */
interface TriesLock {
  tryLock?(exclusive: boolean): Promise<boolean>;
}

/**
 * Locks an open file (flock) if no other open file excludes that; returns whether it did.
 *
 * @throws {Error} where the file system has no locks.
 */
export async function tryLock(file: Deno.FsFile, exclusive: boolean): Promise<boolean> {
  const { tryLock } = file as Deno.FsFile & TriesLock;
  if (tryLock) return await tryLock.call(file, exclusive);
  return await withDeadline(systemClock, FREE_MS, "the lock", file.lock(exclusive))
    .then(() => true, () => false);
}
