/**
 * The files that domains of this host have as disks.
 *
 * @module
 */
import { type Domain, parseDomain, type Virsh, VirshError } from "../../libvirt/mod.ts";
import { fileKeys } from "../../migrate/mod.ts";
import { command } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";
import { lines } from "./pools.ts";

/** Finds who uses a path, by the path and by the storage behind it. */
export interface UsedImages {
  /** The domain that has it, as text for people. */
  userOf(path: string, keys: readonly string[]): string | undefined;
}

/** The host as far as this needs it. */
type UsedImagesHost = Pick<DestinationHost, "virsh" | "run" | "describeHost">;

/** Domains whose images are looked into at a time. */
const AT_ONCE = 4;

/** Reads the disks of every domain but `except`, running or not. */
export async function usedImages(
  host: UsedImagesHost,
  except: string,
): Promise<UsedImages> {
  const { virsh, describeHost } = host;
  const uuids = lines(await virsh.ask(["list", "--all", "--uuid"]))
    .filter((uuid) => uuid.toLowerCase() !== except.toLowerCase());
  const users = new Map<string, string>();
  const queue = uuids.map((uuid) => {
    const xml = virsh.ask(["dumpxml", "--domain", uuid]);
    xml.catch(() => {});
    return xml;
  });
  const worker = async () => {
    for (let xml; (xml = queue.shift()) !== undefined;) {
      for (const path of await pathsOf(host, xml)) users.set(path.path, path.user);
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

async function pathsOf(
  host: UsedImagesHost,
  xml: Promise<string>,
): Promise<{ path: string; user: string }[]> {
  const { virsh } = host;
  let domain: Domain;
  try {
    domain = parseDomain(await xml);
  } catch (error) {
    // It went away meanwhile.
    if (error instanceof VirshError && error.failure === "failed") return [];
    throw error;
  }
  const user = `domain ${domain.name}`;
  const found: { path: string; user: string }[] = [];
  for (const disk of domain.disks) {
    const path = disk.path ?? await volumePath(virsh, disk.pool, disk.volume);
    // The XML has the backing files of a domain that is active only.
    const isKnown = disk.backing.length > 0 || disk.format === "raw" || !path;
    const backing = isKnown ? disk.backing.map((layer) => layer.path) : await backingOf(host, path);
    for (const each of [path, ...backing]) {
      if (each) found.push({ path: each, user });
    }
  }
  return found;
}

/** The backing files of an image; none where it cannot be read. */
async function backingOf({ run }: UsedImagesHost, path: string): Promise<string[]> {
  const argv = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", "--", path];
  try {
    const chain = JSON.parse(await command(run, argv)) as { filename?: unknown }[];
    return chain.slice(1).flatMap(({ filename }) => typeof filename === "string" ? [filename] : []);
  } catch {
    return [];
  }
}

async function volumePath(
  virsh: Virsh,
  pool: string | null,
  volume: string | null,
): Promise<string | null> {
  if (pool === null || volume === null) return null;
  try {
    return (await virsh.ask(["vol-path", "--vol", volume, "--pool", pool])).trim();
  } catch (error) {
    if (error instanceof VirshError) return null;
    throw error;
  }
}
