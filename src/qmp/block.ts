import type { QmpClient } from "./client.ts";
import type { RawBlock, RawBlockStats, RawImage } from "./answers.ts";
import { QmpCommandError } from "./errors.ts";

/** A disk of the guest, from `query-block`. */
export interface Disk {
  /** Its qdev id, else its device name, else its node name. */
  readonly name: string;
  /** Root node of its medium; empty without a medium. */
  readonly nodeName: string;
  /** Virtual size, bytes; 0 without a medium. */
  readonly sizeBytes: number;
  /** Image format, such as `raw` or `qcow2`; empty without a medium. */
  readonly format: string;
  /** The guest cannot write to it. */
  readonly readOnly: boolean;
  /** It has no medium, such as a CD drive without a disc. */
  readonly empty: boolean;
  /** The device shares it with other guests (`share-rw=on`). */
  readonly shared: boolean;
  /** A flash device's read-only code, such as OVMF_CODE. */
  readonly firmware?: boolean;
  /** The guest's SCSI commands go to a device of the host, past QEMU's block layer. */
  readonly passedThrough?: boolean;
  /** It is a namespace of an NVMe controller, a device of its own (`nvme-ns`). */
  readonly namespace?: boolean;
  /** Names of its internal snapshots. */
  readonly snapshots?: readonly string[];
  /** Names of its dirty bitmaps, persistent or not. Those of block jobs have none. */
  readonly bitmaps?: readonly string[];
  /** An I/O error of it has paused the guest, which was not resumed yet. */
  readonly failed?: boolean;
  /** QEMU encrypts what it writes to the image, such as with LUKS. */
  readonly encrypted?: boolean;
  /** QEMU drops the image when it ends (`-snapshot`). */
  readonly temporary?: boolean;
}

/**
 * All disks of the guest: every medium that a device of the guest uses (`query-block`, `qom-get`).
 *
 * @throws {Error} when two of them have the same name.
 * @throws as `QmpClient.execute`.
 */
export async function listDisks(client: QmpClient): Promise<Disk[]> {
  const disks: Disk[] = [];
  for (const block of await client.execute("query-block", {})) {
    // Without a device of the guest it is not the guest's disk.
    if (!block.qdev && !isPflash(block)) continue;
    const name = diskName(block);
    if (name === "") continue;
    const inserted = block.inserted;
    disks.push({
      name,
      nodeName: inserted?.["node-name"] ?? "",
      sizeBytes: inserted?.image["virtual-size"] ?? 0,
      format: inserted?.drv ?? "",
      readOnly: inserted?.ro ?? false,
      empty: inserted === undefined,
      ...(inserted ? await describeDevice(client, block.qdev) : { shared: false }),
      snapshots: (inserted?.image.snapshots ?? []).map((s) => s.name),
      bitmaps: (inserted?.["dirty-bitmaps"] ?? []).flatMap(({ name = "" }) =>
        name === "" ? [] : [name]
      ),
      ...((block["io-status"] ?? "ok") === "ok" ? {} : { failed: true }),
      ...(inserted && isEncrypted(inserted.image) ? { encrypted: true } : {}),
      ...(isTemporary(inserted?.file ?? "") ? { temporary: true } : {}),
      ...(inserted?.ro && (isPflash(block) || FLASH.test(block.qdev ?? ""))
        ? { firmware: true }
        : {}),
    });
  }
  for (const { name } of disks) {
    if (disks.filter((d) => d.name === name).length > 1) {
      throw new Error(`Two disks of the guest are named "${name}"; give their devices ids`);
    }
  }
  return disks;
}

/** The properties of a disk that can change while the guest runs. */
export type DiskLook = Pick<Disk, "name" | "sizeBytes" | "readOnly" | "empty">;

/** All disks of the guest, as by {@link listDisks}, with one command: cheap enough to poll. */
export async function lookAtDisks(client: QmpClient): Promise<DiskLook[]> {
  return (await client.execute("query-block", {})).flatMap((block) => {
    const name = block.qdev || isPflash(block) ? diskName(block) : "";
    if (name === "") return [];
    const { inserted } = block;
    return [{
      name,
      sizeBytes: inserted?.image["virtual-size"] ?? 0,
      readOnly: inserted?.ro ?? false,
      empty: inserted === undefined,
    }];
  });
}

/** Discards of the guest on each of its disks, by the disk's name (`query-blockstats`). */
export async function discardCounts(client: QmpClient): Promise<Map<string, number>> {
  const stats = await client.execute("query-blockstats", {});
  return new Map(stats.map((entry) => [statsName(entry), entry.stats.unmap_operations ?? 0]));
}

/** The guest's writes to a disk since QEMU's start. */
export interface WriteTime {
  /** How many. */
  readonly operations: number;
  /** How long all of them took together, ns. */
  readonly totalNs: number;
}

/** The guest's writes to each of its disks, by the disk's name (`query-blockstats`). */
export async function writeTimes(client: QmpClient): Promise<Map<string, WriteTime>> {
  const stats = await client.execute("query-blockstats", {});
  return new Map(stats.map((entry) => [
    statsName(entry),
    { operations: entry.stats.wr_operations ?? 0, totalNs: entry.stats.wr_total_time_ns ?? 0 },
  ]));
}

function statsName({ device = "", qdev, "node-name": node }: RawBlockStats): string {
  return diskName({ device, ...(qdev ? { qdev } : {}) }) || (node ?? "");
}

/** The id in `qdev`, which may be a path such as `/machine/peripheral/vd0/virtio-backend`. */
function diskName(block: Pick<RawBlock, "qdev" | "device" | "inserted">): string {
  const qdev = block.qdev ?? "";
  if (qdev !== "" && !qdev.startsWith("/")) return qdev;
  const peripheral = /^\/machine\/peripheral\/([^/]+)/.exec(qdev);
  if (peripheral) return peripheral[1]!;
  return block.device || block.inserted?.["node-name"] || "";
}

/** Drivers of nodes that pass all requests to the node below. */
export const FILTERS = ["throttle", "copy-on-read", "compress", "preallocate", "blkdebug"];

/** Whether QEMU encrypts an image, or the one below its filters, which `query-block` has as their backing images. */
function isEncrypted(image: RawImage): boolean {
  const below = FILTERS.includes(image.format ?? "") ? image["backing-image"] : undefined;
  return below ? isEncrypted(below) : image.encrypted ?? false;
}

/**
 * Whether a node's file name is that of the image that `-snapshot` puts above a drive's own: QEMU makes it by
 * the template `vl.XXXXXX` and removes its name at once.
 */
function isTemporary(file: string): boolean {
  if (!file.startsWith("json:")) return false;
  try {
    const { driver, file: below } = JSON.parse(file.slice("json:".length));
    return driver === "qcow2" && /\/vl\.[A-Za-z0-9]{6}$/.test(below?.filename ?? "");
  } catch {
    return false;
  }
}

/** QOM paths of the flash devices of x86 and aarch64 machines. */
const FLASH = /^\/machine\/(system|virt)\.flash\d+$/;

/** The drive of a flash device, such as an EFI variable store. */
function isPflash(block: RawBlock): boolean {
  return block.inserted !== undefined && /^pflash\d+$/.test(block.device);
}

/** Types of devices that pass the guest's SCSI commands to a device of the host. */
const PASSING: readonly unknown[] = ["scsi-block", "scsi-generic"];

async function describeDevice(
  client: QmpClient,
  qdev: string | undefined,
): Promise<Pick<Disk, "shared" | "passedThrough" | "namespace">> {
  const id = qdev?.startsWith("/")
    ? /^(\/machine\/peripheral(?:-anon)?\/[^/]+)/.exec(qdev)?.[1]
    : qdev;
  if (!id) return { shared: false };
  const [shared, type] = await Promise.all(["share-rw", "type"].map(async (property) => {
    try {
      return await client.execute("qom-get", { path: id, property });
    } catch (error) {
      if (error instanceof QmpCommandError) return undefined;
      throw error;
    }
  }));
  return {
    shared: shared === true,
    ...(PASSING.includes(type) ? { passedThrough: true } : {}),
    ...(type === "nvme-ns" ? { namespace: true } : {}),
  };
}
