/**
 * The storage pools of the destination's libvirt.
 *
 * @module
 */
import { pools, type Virsh } from "../../libvirt/mod.ts";
import { directoryOf, nameOf } from "../../host/mod.ts";

/** A pool whose volumes are files or devices of this host. */
export interface Pool {
  readonly name: string;
  /** libvirt's type, such as `dir` or `logical`. */
  readonly type: string;
  /** Directory of its volumes. */
  readonly target: string;
}

/** How long the creation or deletion of a volume may take, ms: a slow disk, a large directory. */
const VOLUME_MS = 60_000;

/** The active pools with a directory of their own. */
export async function activePools(virsh: Virsh): Promise<Pool[]> {
  return (await pools(virsh)).flatMap(({ name, type, path, active }) =>
    active && path !== null ? [{ name, type, target: path.replace(/\/+$/, "") }] : []
  );
}

/** The pool that a path belongs to: the one with the longest target above it. */
export function poolAbove(all: readonly Pool[], path: string): Pool | undefined {
  return all.filter(({ target }) => path.startsWith(`${target}/`))
    .sort((a, b) => b.target.length - a.target.length)[0];
}

/** The pool that can have the path as a volume: pools do not look into directories below theirs. */
export function poolOf(all: readonly Pool[], path: string): Pool | undefined {
  return all.find(({ target }) => target === directoryOf(path));
}

/** Free bytes of a pool; `undefined` where libvirt does not say. */
export async function freeBytesOf(virsh: Virsh, pool: Pool): Promise<number | undefined> {
  const text = await virsh.ask(["pool-info", "--bytes", "--pool", pool.name]);
  const bytes = /^Available:\s*(\d+)/m.exec(text)?.[1];
  return bytes === undefined ? undefined : Number(bytes);
}

/**
 * Has libvirt learn a pool's volumes, right before some are created: libvirt refuses the name of a
 * volume that it knows, and overwrites one that it does not.
 */
export async function refreshPool(virsh: Virsh, pool: string): Promise<void> {
  await virsh.call(["pool-refresh", "--pool", pool], { timeoutMs: VOLUME_MS });
}

/** Creates a volume in a pool that was just started or refreshed. */
export async function createVolume(virsh: Virsh, pool: string, xml: string): Promise<void> {
  await virsh.call(["vol-create", "--pool", pool, "--file", "/proc/self/fd/0"], {
    timeoutMs: VOLUME_MS,
    input: xml,
  });
}

/** Deletes the volume of a path. */
export async function deleteVolume(virsh: Virsh, pool: string, path: string): Promise<void> {
  await refreshPool(virsh, pool);
  // The pool may have got another directory since.
  const there = (await virsh.call(["vol-path", "--vol", nameOf(path), "--pool", pool])).trim();
  if (there !== path) throw new Error(`the pool ${pool} has ${there} by now`);
  await virsh.call(["vol-delete", "--vol", nameOf(path), "--pool", pool], { timeoutMs: VOLUME_MS });
}

/**
 * A pool over a directory that has none, under this name, for as many volumes as follow each other there.
 * libvirt gives volumes their owner, mode and label, which takes root, or a user of libvirt.
 */
export class DirectoryPool {
  readonly #virsh: Virsh;
  readonly #name: string;
  #directory: string | undefined;

  /** Creates nothing yet. */
  constructor(virsh: Virsh, name: string) {
    this.#virsh = virsh;
    this.#name = name;
  }

  /** Has the pool over this directory, and over no other one; libvirt knows its volumes then. Returns its name. */
  async over(directory: string): Promise<string> {
    if (this.#directory === directory) return this.#name;
    await this.close();
    const [virsh, name] = [this.#virsh, this.#name];
    await virsh.call(["pool-create-as", "--name", name, "--type", "dir", "--target", directory]);
    this.#directory = directory;
    return name;
  }

  /** Stops the pool; its volumes stay. */
  async close(): Promise<void> {
    if (this.#directory === undefined) return;
    this.#directory = undefined;
    await stopPool(this.#virsh, this.#name);
  }
}

/**
 * Runs `work` with a pool over a directory that has none, as {@link DirectoryPool}.
 */
export async function withDirectoryPool(
  virsh: Virsh,
  name: string,
  directory: string,
  work: (pool: string) => Promise<void>,
): Promise<void> {
  const pool = new DirectoryPool(virsh, name);
  try {
    await work(await pool.over(directory));
  } finally {
    await pool.close();
  }
}

/** Stops a transient pool, which is then gone; its volumes stay. Tolerates one that is gone. */
export async function stopPool(virsh: Virsh, name: string): Promise<void> {
  try {
    await virsh.call(["pool-destroy", "--pool", name]);
  } catch (error) {
    const names = lines(await virsh.call(["pool-list", "--name"]));
    if (names.includes(name)) throw error;
  }
}

/** The lines of a list that virsh prints. */
export function lines(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}
