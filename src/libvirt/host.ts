/**
 * What virsh says about a host: versions, storage pools, networks.
 *
 * @module
 */
import { pairs } from "./job_info.ts";
import { parsePool, type PoolXml } from "./pool_xml.ts";
import { type AskOptions, type Virsh, VirshError } from "./virsh.ts";

/** The oldest libvirt whose `virsh migrate` has `--disks-uri` and UNIX sockets. */
export const OLDEST_LIBVIRT = "6.8.0";

/** Versions behind a connection. */
export interface HostVersion {
  /** virsh itself. */
  readonly client: string | null;
  /** The library that virsh uses. */
  readonly library: string | null;
  /** The daemon. */
  readonly daemon: string | null;
  /** The hypervisor's name and version, such as `QEMU 7.2.22`; `null` where libvirt finds none. */
  readonly hypervisor: string | null;
}

/**
 * Versions of libvirt and QEMU. Connects to the daemon.
 *
 * @throws {VirshError} when the daemon does not answer.
 */
export async function hostVersion(virsh: Virsh, options?: AskOptions): Promise<HostVersion> {
  return parseHostVersion(await virsh.ask(["version", "--daemon"], options));
}

/** Parses `virsh version --daemon` of the C locale. */
export function parseHostVersion(text: string): HostVersion {
  const values = pairs(text);
  return {
    client: values.get("Compiled against library")?.replace(/^libvirt /, "") ?? null,
    library: values.get("Using library")?.replace(/^libvirt /, "") ?? null,
    daemon: values.get("Running against daemon") ?? null,
    hypervisor: values.get("Running hypervisor") ?? null,
  };
}

/**
 * Whether a version is at least another one. Numbers beyond the third do not count.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 *
 * assert(isAtLeast("10.0.0", OLDEST_LIBVIRT));
 * assert(!isAtLeast("6.7.0", OLDEST_LIBVIRT));
 * ```
 */
export function isAtLeast(version: string, oldest: string): boolean {
  const numbers = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [ours, theirs] = [numbers(version), numbers(oldest)];
  for (let i = 0; i < 3; i++) {
    const difference = (ours[i] ?? 0) - (theirs[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** A storage pool. */
export interface Pool extends PoolXml {
  /** It is started: volumes can be created. */
  readonly active: boolean;
}

/** All storage pools of the host. Pools that go meanwhile are left out. */
export async function pools(virsh: Virsh, options?: AskOptions): Promise<Pool[]> {
  const [running, all] = await Promise.all([
    names(virsh, ["pool-list", "--name"], options),
    names(virsh, ["pool-list", "--all", "--name"], options),
  ]);
  const active = new Set(running);
  const found = await Promise.all(all.map(async (name): Promise<Pool[]> => {
    try {
      const xml = await virsh.ask(["pool-dumpxml", "--pool", name], options);
      return [{ ...parsePool(xml), active: active.has(name) }];
    } catch (error) {
      if (error instanceof VirshError) return [];
      throw error;
    }
  }));
  return found.flat();
}

/**
 * Path of a volume in a pool of this host.
 *
 * @throws {VirshError} when the pool is not started, or there is no such volume.
 */
export async function volumePath(
  virsh: Virsh,
  pool: string,
  volume: string,
  options?: AskOptions,
): Promise<string> {
  const path = await virsh.ask(["vol-path", "--pool", pool, "--vol", volume], options);
  return path.replace(/\n+$/, "");
}

/** A virtual network of libvirt. */
export interface Network {
  /** Its name. */
  readonly name: string;
  /** It is started: domains can use it. */
  readonly active: boolean;
}

/** All virtual networks of the host. */
export async function networks(virsh: Virsh, options?: AskOptions): Promise<Network[]> {
  const [running, all] = await Promise.all([
    names(virsh, ["net-list", "--name"], options),
    names(virsh, ["net-list", "--all", "--name"], options),
  ]);
  const active = new Set(running);
  return all.map((name) => ({ name, active: active.has(name) }));
}

async function names(
  virsh: Virsh,
  args: readonly string[],
  options?: AskOptions,
): Promise<string[]> {
  const text = await virsh.ask(args, options);
  // Some versions pad names to a column.
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}
