/**
 * The files that domains of this host have as disks.
 *
 * @module
 */
import { type Domain, parseDomain, type Virsh, VirshError } from "../../libvirt/mod.ts";
import { type DescribeHost, fileKeys } from "../../migrate/mod.ts";
import { lines } from "./pools.ts";

/** Finds who uses a path, by the path and by the storage behind it. */
export interface UsedImages {
  /** The domain that has it, as text for people. */
  userOf(path: string, keys: readonly string[]): string | undefined;
}

/** Domains whose XML is read at a time. */
const AT_ONCE = 4;

/** Reads the disks of every domain but `except`, running or not. */
export async function usedImages(
  virsh: Virsh,
  describeHost: DescribeHost,
  except: string,
): Promise<UsedImages> {
  const uuids = lines(await virsh.call(["list", "--all", "--uuid"]))
    .filter((uuid) => uuid.toLowerCase() !== except.toLowerCase());
  const users = new Map<string, string>();
  const queue = [...uuids];
  const worker = async () => {
    for (let uuid; (uuid = queue.shift()) !== undefined;) {
      for (const path of await pathsOf(virsh, uuid)) users.set(path.path, path.user);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const paths = [...users.keys()];
  const { files, bootId } = await describeHost(paths);
  const byKey = new Map<string, string>();
  paths.forEach((path, i) => {
    const file = files[i];
    if (!file) return;
    for (const { key } of fileKeys(file, bootId).keys) byKey.set(key, users.get(path)!);
  });
  return {
    userOf: (path, keys) =>
      users.get(path) ?? keys.map((key) => byKey.get(key)).find((user) => user !== undefined),
  };
}

async function pathsOf(virsh: Virsh, uuid: string): Promise<{ path: string; user: string }[]> {
  let domain: Domain;
  try {
    domain = parseDomain(await virsh.call(["dumpxml", "--domain", uuid]));
  } catch (error) {
    // It went away meanwhile.
    if (error instanceof VirshError && error.failure === "failed") return [];
    throw error;
  }
  const user = `domain ${domain.name}`;
  const found: { path: string; user: string }[] = [];
  for (const disk of domain.disks) {
    const path = disk.path ?? await volumePath(virsh, disk.pool, disk.volume);
    const backing = disk.backing.map((layer) => layer.path);
    for (const each of [path, ...backing]) {
      if (each) found.push({ path: each, user });
    }
  }
  return found;
}

async function volumePath(
  virsh: Virsh,
  pool: string | null,
  volume: string | null,
): Promise<string | null> {
  if (pool === null || volume === null) return null;
  try {
    return (await virsh.call(["vol-path", "--vol", volume, "--pool", pool])).trim();
  } catch (error) {
    if (error instanceof VirshError) return null;
    throw error;
  }
}
