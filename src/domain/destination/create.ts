/**
 * Creates what a domain needs on this host, each effect after a record in the journal.
 *
 * @module
 */
import type { Owners } from "./describe_host.ts";
import { messageOf } from "../../io/mod.ts";
import { VirshError, volumeXml } from "../../libvirt/mod.ts";
import { asMigrationError, MigrationError } from "../../migrate/mod.ts";
import type { ImageToPrepare } from "../../rpc/mod.ts";
import { command, CommandError, directoryOf, lookAt, nameOf } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";
import { createVolume, DirectoryPool, refreshPool } from "./pools.ts";
import type { DomainJournal, DomainRecord, ImageRecord } from "./record.ts";
import { makeSocketDir, type QemuOwner } from "./socket_dir.ts";

/** How long qemu-img may take to create an image, ms. */
const CREATE_MS = 60_000;

/** Images that are created at a time. */
const AT_ONCE = 4;

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
    await this.writeImages(new Map([[path, change]]));
  }

  /** Writes the record with a change to the image of each path. */
  async writeImages(changes: ReadonlyMap<string, Partial<ImageRecord>>): Promise<void> {
    const images = this.#record.images.map((image) => ({ ...image, ...changes.get(image.path) }));
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
      for (const images of groupsOf(recorded.current.images)) {
        await createGroup(host, owners, recorded, { images, wanted, directoryPool });
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

/** Images that one pool can have, in their order. */
function groupsOf(images: readonly ImageRecord[]): ImageRecord[][] {
  const placeOf = ({ pool, path }: ImageRecord) => pool ?? `directory ${directoryOf(path)}`;
  return [...Map.groupBy(images, placeOf).values()];
}

/** Creates images of one pool, a few at a time. Throws the first error, once nothing is under way. */
async function createGroup(
  host: DestinationHost,
  owners: Owners,
  recorded: Recorded,
  { images, wanted, directoryPool }: {
    readonly images: readonly ImageRecord[];
    readonly wanted: readonly ImageToPrepare[];
    readonly directoryPool: DirectoryPool;
  },
): Promise<void> {
  const begunAt = host.wallMs();
  await recorded.writeImages(new Map(images.map(({ path }) => [path, { begunAt }])));
  const [{ pool, path: first }] = images as [ImageRecord];
  // Once for all of them; its error is that of each.
  const ready = (async () => {
    if (pool === null) return await directoryPool.over(directoryOf(first));
    await refreshPool(host.virsh, pool);
    return pool;
  })();
  ready.catch(() => {});
  const failures: unknown[] = [];
  const created: ImageRecord[] = [];
  const queue = [...images];
  const worker = async () => {
    for (let image; failures.length === 0 && (image = queue.shift());) {
      const details = wanted.find(({ path }) => path === image!.path)!;
      try {
        await create(host, owners, recorded, { image, details, ready });
        created.push(image);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  // Meanwhile: the volumes of a directory's pool are files.
  const closing = pool === null ? directoryPool.close() : Promise.resolve();
  closing.catch(() => {});
  const changes: Map<string, Partial<ImageRecord>> = await identitiesOf(host, created);
  for (const { path } of queue) changes.set(path, NOT_OURS);
  await recorded.writeImages(changes);
  await closing;
  if (failures.length > 0) throw failures[0];
}

async function create(
  host: DestinationHost,
  { owner, own }: Owners,
  recorded: Recorded,
  { image, details, ready }: {
    readonly image: ImageRecord;
    readonly details: ImageToPrepare;
    /** The pool that can have it. */
    readonly ready: Promise<string>;
  },
): Promise<void> {
  const { virsh } = host;
  const { path } = image;
  const volume = { ...details, name: nameOf(path), capacity: details.sizeBytes };
  // libvirt need not change the owner of the images of a domain with a label of its own.
  const xml = volumeXml({ ...volume, owner: own });
  try {
    await createVolume(virsh, await ready, xml);
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

/** What distinguishes each image from another one with its path. */
async function identitiesOf(
  host: DestinationHost,
  images: readonly ImageRecord[],
): Promise<Map<string, Partial<ImageRecord>>> {
  const looks = await lookAt(host.run, images.map(({ path }) => path));
  const identities = await Promise.all(images.map(async (image, i) => {
    const isDevice = image.path.startsWith("/dev/");
    const identity = isDevice ? await volumeKey(host, image) : looks[i]!.identity ?? "hidden";
    return [image.path, { identity }] as const;
  }));
  return new Map(identities);
}

/** LVM's own UUID of a logical volume. */
export async function volumeKey(host: DestinationHost, image: ImageRecord): Promise<string> {
  const argv = ["vol-key", "--vol", nameOf(image.path), "--pool", image.pool!];
  return `volume ${(await host.virsh.ask(argv)).trim()}`;
}
