/**
 * Removes what vmferry has created for a domain, from its journal: in the process that wrote it, or in a
 * later one.
 *
 * @module
 */
import { VirshError } from "../../libvirt/mod.ts";
import { fileKeys, UndoList } from "../../migrate/mod.ts";
import { contentsOf } from "./describe_images.ts";
import { volumeKey } from "./create.ts";
import { command, directoryOf, lookAt, type PathFacts } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";
import { deleteVolume, stopPool, withDirectoryPool } from "./pools.ts";
import type { DomainRecord, ImageRecord } from "./record.ts";
import { removeSocketDir } from "./socket_dir.ts";
import { type UsedImages, usedImages } from "./used_images.ts";

/** How long after a creation began a file may be born that it has made, ms. */
const CREATION_MS = 120_000;
/** File systems keep the time of birth in seconds. */
const BIRTH_MS = 2_000;

/**
 * Removes everything, the last first. The domain must not be active on this host.
 *
 * @returns what could not be removed, or is not vmferry's to remove.
 */
export async function removeCreated(
  host: DestinationHost,
  record: DomainRecord,
): Promise<string[]> {
  const { clock, log, virsh } = host;
  const undo = new UndoList(clock, log);
  undo.add(`directory ${record.socketDir}`, () => removeSocketDir(host.run, record.socketDir));
  for (const path of record.directories) {
    undo.add(`directory ${path}`, () => removeEmpty(host, path));
  }
  const begun = record.images.filter(({ begunAt }) => begunAt !== null);
  if (begun.length > 0) {
    // Read once; a domain that is defined within these seconds has not started yet.
    const used = usedImages(host, record.uuid);
    used.catch(() => {});
    for (const image of begun) {
      undo.add(image.path, async () => await removeImage(host, record, image, await used));
    }
    // First: a pool over the directory would be in the way of another one.
    undo.add(`pool ${record.transientPool}`, () => stopPool(virsh, record.transientPool));
  }
  return (await undo.run()).here;
}

/** Removes the directory of QEMU's sockets alone. */
export async function removeSockets(
  host: DestinationHost,
  record: DomainRecord,
): Promise<string[]> {
  const undo = new UndoList(host.clock, host.log);
  undo.add(`directory ${record.socketDir}`, () => removeSocketDir(host.run, record.socketDir));
  return (await undo.run()).here;
}

/** Another program may have put something into a directory that vmferry made; it stays then. */
async function removeEmpty({ run }: DestinationHost, path: string): Promise<void> {
  const script = '[ ! -d "$1" ] || rmdir --ignore-fail-on-non-empty -- "$1"';
  await command(run, ["sh", "-c", script, "sh", path]);
}

/**
 * Removes an image.
 *
 * @throws {Error} when it is not certain that vmferry has created it, or a domain uses it.
 */
async function removeImage(
  host: DestinationHost,
  record: DomainRecord,
  image: ImageRecord,
  used: UsedImages,
): Promise<void> {
  const { path } = image;
  const [look] = await lookAt(host.run, [path]);
  if (look!.state === "missing" && !look!.hidden) return;
  const { files, bootId } = await host.describeHost([path]);
  const keys = files[0] ? fileKeys(files[0], bootId).keys : [];
  const user = used.userOf(path, keys.map(({ key }) => key));
  if (user !== undefined) throw new Error(`${user} uses it`);
  if (!await isOurs(host, image, look!)) throw new Error("another program has made this file");
  await remove(host, record, image);
}

async function isOurs(
  host: DestinationHost,
  image: ImageRecord,
  look: PathFacts,
): Promise<boolean> {
  const { path, identity, begunAt, format, sizeBytes } = image;
  if (identity?.startsWith("volume ")) return await volumeKey(host, image) === identity;
  if (identity === "hidden") return true;
  if (identity !== null) return look.identity === identity;
  // vmferry was killed between the creation and its record.
  if (begunAt === null || look.bornAt === null) return false;
  if (look.bornAt < begunAt - BIRTH_MS || look.bornAt > begunAt + CREATION_MS) return false;
  const { contents } = await contentsOf(host, path, look);
  return contents.format === format && contents.sizeBytes === sizeBytes || look.bytes === 0;
}

async function remove(
  { run, user, virsh }: DestinationHost,
  { transientPool }: DomainRecord,
  { path, way, pool }: ImageRecord,
): Promise<void> {
  const isFile = !path.startsWith("/dev/");
  const byHand = user.uid === 0 && isFile;
  try {
    if (way === "pool") return await deleteVolume(virsh, pool!, path);
    if (!byHand) {
      return await withDirectoryPool(virsh, transientPool, directoryOf(path), (name) => {
        return deleteVolume(virsh, name, path);
      });
    }
  } catch (error) {
    if (!(error instanceof VirshError) || !byHand) throw error;
  }
  await command(run, ["rm", "-f", "--", path]);
}
