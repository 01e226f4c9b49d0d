/**
 * Creates what a domain needs on this host, each effect after a record in the journal.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import { VirshError, volumeXml } from "../../libvirt/mod.ts";
import { asMigrationError, MigrationError } from "../../migrate/mod.ts";
import type { ImageToPrepare } from "../../rpc/mod.ts";
import { command, CommandError, directoryOf, lookAt, nameOf } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";
import { createVolume, DirectoryPool } from "./pools.ts";
import type { DomainJournal, DomainRecord, ImageRecord } from "./record.ts";
import { makeSocketDir, type QemuOwner } from "./socket_dir.ts";

/** How long qemu-img may take to create an image, ms. */
const CREATE_MS = 60_000;

/** Whom the files are for. */
interface Owners {
  /** The user that libvirt runs this domain's QEMU as. */
  readonly owner: QemuOwner;
  /** The same where it is the domain's own; `null` where it is libvirt's. */
  readonly own: QemuOwner;
}

/** The creation has failed: a file with this path is not to be removed. */
const NOT_OURS = { begunAt: null };

/** The record of a preparation that is under way. */
export class Recorded {
  readonly #journal: DomainJournal;
  #record: DomainRecord;

  constructor(journal: DomainJournal, record: DomainRecord) {
    this.#journal = journal;
    this.#record = record;
  }

  get current(): DomainRecord {
    return this.#record;
  }

  /** Writes the record with a change. */
  async write(change: Partial<DomainRecord> = {}): Promise<void> {
    // Kept even if the journal fails: this process undoes what may have been done.
    this.#record = { ...this.#record, ...change };
    await this.#journal.write(this.#record);
  }

  /** Writes the record with a change to the image of a path. */
  async writeImage(path: string, change: Partial<ImageRecord>): Promise<void> {
    const images = this.#record.images.map((image) =>
      image.path === path ? { ...image, ...change } : image
    );
    await this.write({ images });
  }
}

/**
 * Creates the directories and images of a plan. What a failure leaves is in the record.
 *
 * @param wanted all images of the domain, with the details of those to create.
 * @throws {MigrationError} kind `refused`.
 */
export async function createAll(
  host: DestinationHost,
  owners: Owners,
  recorded: Recorded,
  wanted: readonly ImageToPrepare[],
): Promise<void> {
  const { run } = host;
  try {
    await recorded.write();
    const { socketDir, directories } = recorded.current;
    await makeSocketDir(host, socketDir, owners.owner);
    for (const path of directories) await command(run, ["mkdir", "-m", "0711", path]);
    const directoryPool = new DirectoryPool(host.virsh, recorded.current.transientPool);
    try {
      for (const image of recorded.current.images) {
        const details = wanted.find(({ path }) => path === image.path)!;
        await recorded.writeImage(image.path, { begunAt: host.wallMs() });
        await create(host, owners, recorded, { image, details, directoryPool });
        const identity = await identityOf(host, image);
        await recorded.writeImage(image.path, { identity });
      }
    } finally {
      await directoryPool.close();
    }
    await recorded.write({ state: "prepared" });
  } catch (error) {
    throw refusalOf(error);
  }
}

function refusalOf(error: unknown): MigrationError {
  if (error instanceof MigrationError) return error;
  const words = error instanceof VirshError ? error.text : messageOf(error);
  const isExpected = error instanceof VirshError || error instanceof CommandError;
  if (!isExpected) return asMigrationError(error, "destination");
  return new MigrationError("refused", "image-not-created", "destination", words, { cause: error });
}

async function create(
  host: DestinationHost,
  { owner, own }: Owners,
  recorded: Recorded,
  { image, details, directoryPool }: {
    readonly image: ImageRecord;
    readonly details: ImageToPrepare;
    readonly directoryPool: DirectoryPool;
  },
): Promise<void> {
  const { virsh } = host;
  const { path, way, pool } = image;
  const volume = { ...details, name: nameOf(path), capacity: details.sizeBytes };
  // libvirt need not change the owner of the images of a domain with a label of its own.
  const xml = volumeXml({ ...volume, owner: own });
  try {
    if (way === "pool") return await createVolume(virsh, pool!, xml);
    await createVolume(virsh, await directoryPool.over(directoryOf(path)), xml);
  } catch (error) {
    if (!(error instanceof VirshError)) throw error;
    const failed = new MigrationError(
      "refused",
      "image-not-created",
      "destination",
      `libvirt cannot create ${path}: ${error.text}`,
      { cause: error },
    );
    const isFile = !path.startsWith("/dev/");
    const [look] = await lookAt(host.run, [path]);
    const isMissing = look!.state === "missing";
    // libvirt removes what it could not finish: another program has made this file.
    if (!isMissing && error.failure === "failed") await recorded.writeImage(path, NOT_OURS);
    if (!isMissing || !isFile || host.user.uid !== 0) throw failed;
    host.log.log("info", `${failed.message}; qemu-img creates it`);
    await recorded.writeImage(path, { way: "file" });
    try {
      await createFile(host, owner, details);
    } catch (second) {
      host.log.log("warning", `qemu-img: ${messageOf(second)}`);
      // It has removed its own file.
      if (second instanceof CommandError) await recorded.writeImage(path, NOT_OURS);
      throw failed;
    }
  }
}

/**
 * Makes an empty file that did not exist ($1), for its owner ($2, if any) alone, and has qemu-img ($3 and
 * on) write the image to it.
 */
const CREATE = `
umask 077
file=$1 owner=$2
shift 2
set -C
: >"$file" || exit 1
set +C
"$@" && { [ -z "$owner" ] || chown "$owner" -- "$file"; } || { rm -f -- "$file"; exit 1; }
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon -- "$file"; fi
`;

/** Creates an image by qemu-img, as root. */
async function createFile(
  { run }: DestinationHost,
  owner: QemuOwner,
  image: ImageToPrepare,
): Promise<void> {
  const { path, format, sizeBytes, backing } = image;
  const options = format === "qcow2" ? qcow2Options(image) : [];
  const argv = ["qemu-img", "create", "-q", "-f", format];
  if (options.length > 0) argv.push("-o", options.join(","));
  if (backing) argv.push("-b", backing.path, "-F", backing.format);
  const who = owner === null ? "" : `${owner.uid}:${owner.gid}`;
  const script = ["sh", "-c", CREATE, "sh", path, who];
  await command(run, [...script, ...argv, "--", path, `${sizeBytes}`], CREATE_MS);
}

function qcow2Options(image: ImageToPrepare): string[] {
  const { clusterBytes, compat, extendedL2, lazyRefcounts } = image;
  return [
    ...(clusterBytes === null ? [] : [`cluster_size=${clusterBytes}`]),
    ...(compat === null ? [] : [`compat=${compat}`]),
    ...(extendedL2 ? ["extended_l2=on"] : []),
    ...(lazyRefcounts ? ["lazy_refcounts=on"] : []),
  ];
}

/** What distinguishes the image from another one with its path; `null` where this user cannot see it. */
async function identityOf(host: DestinationHost, image: ImageRecord): Promise<string | null> {
  if (image.path.startsWith("/dev/")) return await volumeKey(host, image);
  const [look] = await lookAt(host.run, [image.path]);
  return look!.identity ?? "hidden";
}

/** LVM's own UUID of a logical volume. */
export async function volumeKey(host: DestinationHost, image: ImageRecord): Promise<string> {
  const argv = ["vol-key", "--vol", nameOf(image.path), "--pool", image.pool!];
  return `volume ${(await host.virsh.call(argv)).trim()}`;
}
