/**
 * What has to be created for a domain, and how. Changes nothing.
 *
 * @module
 */
import { listDomains } from "../../libvirt/mod.ts";
import { type ErrorCode, MigrationError } from "../../migrate/mod.ts";
import type { ImageToPrepare, Params } from "../../rpc/mod.ts";
import { contentsOf } from "./describe_images.ts";
import { directoryOf, lookAt, type PathFacts } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";
import { activePools, type Pool, poolOf } from "./pools.ts";
import type { DomainRecord, ImageRecord } from "./record.ts";
import { domainStatus } from "./settle.ts";

/** Types of pools whose volumes are created as files. */
const FILE_POOLS = ["dir", "fs", "netfs"];

interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * Plans the preparation of a domain.
 *
 * @throws {MigrationError} kind `refused`, with every problem.
 */
export async function planDomain(
  host: DestinationHost,
  params: Params<"prepareDomain">,
): Promise<DomainRecord> {
  const { migration, name, uuid, socketDir, images } = params;
  const [domains, pools, looks] = await Promise.all([
    listDomains(host.virsh),
    activePools(host.virsh),
    lookAt(host.run, images.map(({ path }) => path)),
  ]);
  if (domains.some((domain) => domain.active && domain.uuid === uuid.toLowerCase())) {
    const { state } = await domainStatus(host, uuid);
    const message = `Domain ${name} is ${state} at the destination already`;
    throw new MigrationError("refused", "domain-exists", "destination", message);
  }
  const faults: Fault[] = [];
  const planned: ImageRecord[] = [];
  const missing = new Set<string>();
  for (const [i, image] of images.entries()) {
    const look = looks[i]!;
    if (!image.create) {
      faults.push(...await changesOf(host, image, look));
      continue;
    }
    const pool = poolOf(pools, image.path);
    const fault = obstacleTo(host, image, look, pool);
    if (fault) faults.push(fault);
    if (!look.directory && !pool) missing.add(directoryOf(image.path));
    const { path, format, sizeBytes } = image;
    const way = pool ? "pool" : "directory";
    planned.push({
      ...{ path, way, pool: pool?.name ?? null, format, sizeBytes, begunAt: null, identity: null },
    });
  }
  const [first] = faults;
  if (first) {
    const problems = faults.map(({ message }) => message);
    const message = problems.join("; ");
    throw new MigrationError("refused", first.code, "destination", message, { problems });
  }
  return {
    ...{ version: 1, side: "destination", state: "preparing", mayHaveRun: false },
    ...{ migration, name, uuid, uri: host.virsh.uri, socketDir },
    paths: images.map(({ path }) => path),
    directories: await directoriesToMake(host, [...missing]),
    transientPool: `vmferry-${crypto.randomUUID().slice(0, 8)}`,
    images: planned,
  };
}

/** Why an image cannot be created, if it cannot. */
function obstacleTo(
  { user }: DestinationHost,
  { path, format }: ImageToPrepare,
  look: PathFacts,
  pool: Pool | undefined,
): Fault | undefined {
  if (!path.startsWith("/") || path.split("/").includes("..") || path.endsWith("/")) {
    return { code: "image-not-created", message: `"${path}" is no absolute path of a file` };
  }
  if (look.state !== "missing") {
    const message = `${path} exists by now. Remove it, or let vmferry overwrite it (--reuse)`;
    return { code: "image-exists", message };
  }
  if (look.hidden && !pool) {
    const message =
      `${user.name} may not enter the directory of ${path}, which is no storage pool ` +
      `of this host. Define a pool for it, or let root run vmferry`;
    return { code: "image-not-created", message };
  }
  const isDevice = path.startsWith("/dev/");
  if (isDevice && pool?.type !== "logical") {
    const message = `The device ${path} is missing, and no logical pool of this host has it. ` +
      `Create it, and give --reuse with the disk's target`;
    return { code: "image-not-created", message };
  }
  if (pool && pool.type !== "logical" && !FILE_POOLS.includes(pool.type)) {
    const message =
      `${path} lies in the pool ${pool.name} of type ${pool.type}, in which vmferry ` +
      `creates no volumes. Create it, and give --reuse with the disk's target`;
    return { code: "image-not-created", message };
  }
  if (pool?.type === "logical" && format !== "raw") {
    const message =
      `${path} is to be a logical volume, which is created for format raw only, not ` +
      `${format}. Create it, and give --reuse with the disk's target`;
    return { code: "image-not-created", message };
  }
  if (!look.directory && !pool && user.uid !== 0) {
    const message = `The directory of ${path} does not exist, and only root can create it. ` +
      `Create ${directoryOf(path)} and try again`;
    return { code: "image-not-created", message };
  }
  return undefined;
}

/** What is different about an image that has to be there. */
async function changesOf(
  host: DestinationHost,
  { path, format, sizeBytes }: ImageToPrepare,
  look: PathFacts,
): Promise<Fault[]> {
  const { state, contents } = await contentsOf(host, path, look);
  const code = "image-unfit" as const;
  if (state === "missing") {
    return [{ code, message: `${path} has been removed since the check. Try again` }];
  }
  if (contents.problem !== null) return [];
  if (contents.format !== null && contents.format !== format) {
    const message = `${path} has format ${contents.format} by now, expected ${format}. Try again`;
    return [{ code, message }];
  }
  if (contents.sizeBytes !== null && contents.sizeBytes < sizeBytes) {
    const message = `${path} has ${contents.sizeBytes} bytes by now, expected ${sizeBytes}. ` +
      `Try again`;
    return [{ code, message }];
  }
  return [];
}

/** The directories themselves and those above them that do not exist, the outermost first. */
async function directoriesToMake(
  host: DestinationHost,
  directories: readonly string[],
): Promise<string[]> {
  const found = new Set<string>();
  let level = directories;
  while (level.length > 0) {
    const looks = await lookAt(host.run, level);
    const missing = level.filter((_, i) => looks[i]!.state === "missing");
    for (const path of missing) found.add(path);
    level = missing.map(directoryOf).filter((path) => path !== "/" && !found.has(path));
  }
  return [...found].sort((a, b) => a.length - b.length);
}
