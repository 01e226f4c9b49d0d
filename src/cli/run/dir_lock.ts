import { systemClock, withDeadline } from "../../io/mod.ts";

/** Without `tryLock`: how long to get hold of a folder that is free may take, ms. */
const FREE_MS = 200;

/** What Deno's files have from 2.7 on. */
interface TriesLock {
  tryLock?(exclusive: boolean): Promise<boolean>;
}

/**
 * A folder that this process has to itself, until disposed or until the process ends, however it does:
 * a lock (flock) on it. Whoever finds it free knows that no process has the folder.
 */
export class FolderHold implements Disposable {
  readonly #folder: Deno.FsFile;

  /**
   * Waits for it.
   *
   * @throws {Deno.errors.NotFound} when whoever had it before has removed the folder.
   */
  static async take(path: string): Promise<FolderHold> {
    const hold = new FolderHold(await Deno.open(path));
    try {
      // Where a file system has no locks, nobody finds the folder free.
      await hold.#folder.lock(true).catch(() => {});
      await Deno.lstat(path);
      return hold;
    } catch (error) {
      hold[Symbol.dispose]();
      throw error;
    }
  }

  /** Takes it where it is free; `undefined` where it is not, or can't be told. */
  static async tryTake(path: string): Promise<FolderHold | undefined> {
    let hold: FolderHold | undefined;
    try {
      hold = new FolderHold(await Deno.open(path));
      if (await hold.#tryLock()) {
        await Deno.lstat(path);
        return hold;
      }
    } catch {
      // It is gone, or its file system has no locks.
    }
    hold?.[Symbol.dispose]();
    return undefined;
  }

  private constructor(folder: Deno.FsFile) {
    this.#folder = folder;
  }

  async #tryLock(): Promise<boolean> {
    const folder: Deno.FsFile & TriesLock = this.#folder;
    if (folder.tryLock) return await folder.tryLock(true);
    return await withDeadline(systemClock, FREE_MS, "the folder", folder.lock(true))
      .then(() => true, () => false);
  }

  [Symbol.dispose](): void {
    this.#folder.close();
  }
}
