import { delay, systemClock } from "../../io/mod.ts";
import { tryLock } from "./try_lock.ts";

/** How often a lock that another process has is looked at again, ms. */
const PAUSE_MS = 100;

/**
 * A directory that this process has to itself, until disposed or until the process ends, however it does:
 * a lock (flock) on it. If it is free, no process has the directory.
 */
export class DirectoryLock implements Disposable {
  readonly #directory: Deno.FsFile;

  /**
   * Waits for it.
   *
   * @throws {Deno.errors.NotFound} when its previous owner has removed the directory.
   */
  static async take(path: string): Promise<DirectoryLock> {
    const hold = new DirectoryLock(await Deno.open(path));
    try {
      // Where a file system has no locks, nobody finds the directory free.
      await hold.#directory.lock(true).catch(() => {});
      await Deno.lstat(path);
      return hold;
    } catch (error) {
      hold[Symbol.dispose]();
      throw error;
    }
  }

  /** Locks it if it is free; `undefined` if it is not, or that cannot be found out. */
  static async tryTake(path: string): Promise<DirectoryLock | undefined> {
    let hold: DirectoryLock | undefined;
    try {
      hold = new DirectoryLock(await Deno.open(path));
      if (await tryLock(hold.#directory, true)) {
        await Deno.lstat(path);
        return hold;
      }
    } catch {
      // It is gone, or its file system has no locks.
    }
    hold?.[Symbol.dispose]();
    return undefined;
  }

  /**
   * Waits for it at most `ms`; `undefined` when that was not enough, or where there is no such directory or its file
   * system has no locks.
   */
  static async takeWithin(path: string, ms: number): Promise<DirectoryLock | undefined> {
    let hold: DirectoryLock | undefined;
    try {
      hold = new DirectoryLock(await Deno.open(path));
      const until = systemClock.now() + ms;
      while (!await tryLock(hold.#directory, true)) {
        if (systemClock.now() >= until) throw new Error("another process has it");
        await delay(systemClock, PAUSE_MS);
      }
      return hold;
    } catch {
      hold?.[Symbol.dispose]();
      return undefined;
    }
  }

  private constructor(directory: Deno.FsFile) {
    this.#directory = directory;
  }

  [Symbol.dispose](): void {
    this.#directory.close();
  }
}
