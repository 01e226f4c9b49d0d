import { UsageError } from "../args/usage_error.ts";
import { DirectoryLock } from "../run/dir_lock.ts";
import { checkDirectory } from "../run/trusted_dir.ts";
import { tryLock } from "../run/try_lock.ts";
import {
  fileName,
  formatFacts,
  MAX_FACTS,
  type Member,
  type MemberFacts,
  type MemberName,
  type MemberState,
  newId,
  parseFacts,
  parseName,
} from "./member.ts";

/** How often to join a directory that another process removes meanwhile, because nobody was in it. */
const TRIES = 10;
/** A file that was not locked for so long was left by a process that was killed, ms. */
const UNBORN_MS = 60_000;
/** What the name of a file begins with that its owner has not locked yet. */
const UNBORN = "new-";

/** What the errors about it begin with. */
const FLAG = "--lock-dir";

/**
 * A directory in which the migrations of a host see each other: a file each, which its process has locked
 * (flock). The lock ends with the process, however that ends; the next one that looks removes the file.
 */
export class LockDirectory {
  readonly path: string;
  readonly #now: () => number;

  /**
   * @param path absolute.
   * @param now ms since 1970.
   */
  constructor(path: string, now: () => number = Date.now) {
    this.path = path;
    this.#now = now;
  }

  /**
   * Joins it, and makes it where it does not exist.
   *
   * @throws {UsageError} when the directory cannot be used.
   */
  async join(facts: MemberFacts, state: MemberState): Promise<Membership> {
    await checkDirectory(this.path, FLAG);
    for (let tries = 1;; tries++) {
      try {
        await Deno.mkdir(this.path, { mode: 0o700 }).catch((error) => {
          if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        });
        const id = newId(this.#now(), (await this.names()).at(-1)?.id);
        return await Membership.make(this, facts, { state, id });
      } catch (error) {
        // Its last member has removed it in between.
        if (error instanceof Deno.errors.NotFound && tries < TRIES) continue;
        if (error instanceof UsageError) throw error;
        throw new UsageError(
          `${FLAG}: can't use ${this.path}: ${
            (error as Error).message
          }. Expected a directory, or ` +
            "the name of a new one in a directory that exists, on a file system with locks",
        );
      }
    }
  }

  /** Locks it against every other process that decides what may begin; `undefined`: another one does. */
  async gate(): Promise<Disposable | undefined> {
    return await DirectoryLock.tryTake(this.path);
  }

  /** The names in it, in the order in which the members came. Some may be of killed processes. */
  async names(): Promise<MemberName[]> {
    const names: MemberName[] = [];
    for await (const { name, isFile } of Deno.readDir(this.path)) {
      const parsed = isFile ? parseName(name) : undefined;
      if (parsed) names.push(parsed);
      else if (isFile && name.startsWith(UNBORN)) await this.#removeUnborn(name);
    }
    return names.sort((a, b) => a.id < b.id ? -1 : 1);
  }

  /** A member with its facts and when it last wrote them, ms since 1970; `undefined`: it has ended. */
  async look(name: MemberName): Promise<{ member: Member; writtenAt: number } | undefined> {
    const path = `${this.path}/${fileName(name)}`;
    try {
      const { isFile, size, mtime } = await Deno.lstat(path);
      if (!isFile) return undefined;
      using file = await Deno.open(path);
      // Shared, so that two that look do not take each other for a member.
      if (await tryLock(file, false)) {
        await Deno.remove(path).catch(() => {});
        return undefined;
      }
      const text = size <= MAX_FACTS ? await Deno.readTextFile(path) : "";
      return { member: { ...parseFacts(text), ...name }, writtenAt: mtime?.getTime() ?? 0 };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** All members in one state but `own`, in the order in which they came. */
  async members(state: MemberState, own: string): Promise<Member[]> {
    const found: Member[] = [];
    for (const name of await this.names()) {
      if (name.state !== state || name.id === own) continue;
      const looked = await this.look(name);
      if (looked) found.push(looked.member);
    }
    return found;
  }

  async #removeUnborn(name: string): Promise<void> {
    const path = `${this.path}/${name}`;
    const info = await Deno.lstat(path).catch(() => undefined);
    if (!info?.mtime || this.#now() - info.mtime.getTime() < UNBORN_MS) return;
    await Deno.remove(path).catch(() => {});
  }
}

/** This process's place in a lock directory, until disposed or until the process ends. */
export class Membership implements AsyncDisposable {
  readonly directory: LockDirectory;
  readonly #file: Deno.FsFile;
  #name: MemberName;
  #facts: MemberFacts;

  /** Called by {@link LockDirectory.join}. */
  static async make(
    directory: LockDirectory,
    facts: MemberFacts,
    name: MemberName,
  ): Promise<Membership> {
    // Under its name it is locked from the first moment on: unlocked, others would remove it.
    const unborn = `${directory.path}/${UNBORN}${name.id}`;
    const file = await Deno.open(unborn, { write: true, createNew: true, mode: 0o644 });
    const membership = new Membership(directory, file, facts, name);
    try {
      if (!await tryLock(file, true)) throw new Error(`${unborn} is locked by another process`);
      await membership.#write();
      await Deno.rename(unborn, `${directory.path}/${fileName(name)}`);
      return membership;
    } catch (error) {
      file.close();
      await Deno.remove(unborn).catch(() => {});
      throw error;
    }
  }

  private constructor(
    directory: LockDirectory,
    file: Deno.FsFile,
    facts: MemberFacts,
    name: MemberName,
  ) {
    [this.directory, this.#file, this.#facts, this.#name] = [directory, file, facts, name];
  }

  /** Orders it among the others. */
  get id(): string {
    return this.#name.id;
  }

  get facts(): MemberFacts {
    return this.#facts;
  }

  /** It waits no longer. */
  async run(): Promise<void> {
    const name = { ...this.#name, state: "running" as const };
    await Deno.rename(this.#path, `${this.directory.path}/${fileName(name)}`);
    this.#name = name;
  }

  /** Changes its facts, and shows that its process is not stopped. */
  async note(change: Partial<MemberFacts>): Promise<void> {
    this.#facts = { ...this.#facts, ...change };
    await this.#write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#path).catch(() => {});
    this.#file.close();
    // Fails where others are in it.
    await Deno.remove(this.directory.path).catch(() => {});
  }

  get #path(): string {
    return `${this.directory.path}/${fileName(this.#name)}`;
  }

  async #write(): Promise<void> {
    await this.#file.seek(0, Deno.SeekMode.Start);
    await this.#file.write(new TextEncoder().encode(formatFacts(this.#facts)));
  }
}
