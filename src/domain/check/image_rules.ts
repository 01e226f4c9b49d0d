/**
 * Rules on the images that libvirt writes at the destination. Pure.
 *
 * @module
 */
import { isSame, type StorageKeys } from "../../migrate/mod.ts";
import type { DomainImageFacts, ImageToPrepare } from "../../rpc/mod.ts";
import { Collected, type Findings } from "./findings.ts";
import { bytes } from "./words.ts";

/** QEMU counts disks in sectors. */
const SECTOR_BYTES = 512;

/** An image at the source. Sizes in bytes. */
export interface SourceImage {
  /** Virtual size. */
  readonly sizeBytes: number;
  /** What the image and its backing files occupy; `null` where unknown. */
  readonly allocatedBytes: number | null;
  /** qcow2 only; `null` where unknown. */
  readonly clusterBytes: number | null;
  /** qcow2 only, such as `1.1`; `null` where unknown. */
  readonly compat: string | null;
  readonly extendedL2: boolean;
  readonly lazyRefcounts: boolean;
  /** What vmferry does not create, such as `encrypted`; `null`: it creates such an image. */
  readonly special: "encrypted" | "with a data file" | null;
  /** Its backing file; `null` without one. */
  readonly backing: { readonly path: string; readonly format: string } | null;
}

/** A disk that libvirt copies, at both ends. */
export interface CopiedDisk {
  /** The disk's target, such as `vda`. */
  readonly name: string;
  /** Where it lies at the destination. */
  readonly path: string;
  /** The type of its storage there; an image of a `block` disk cannot be created. */
  readonly type: string;
  /** The image format that libvirt uses there. */
  readonly format: string;
  readonly image: SourceImage;
  /** Names of its storage at the source. */
  readonly here: StorageKeys;
  readonly there: DomainImageFacts;
}

/** Options of the migration that matter to images. */
export interface ImageWishes {
  /** Targets of `--reuse`. */
  readonly reuse: readonly string[];
  readonly copy: "all" | "inc";
}

/** Judges each image, and says which images to create. */
export function judgeImages(
  disks: readonly CopiedDisk[],
  wishes: ImageWishes,
): { readonly images: readonly ImageToPrepare[]; readonly findings: Findings } {
  const findings = new Collected();
  for (const disk of disks) {
    const twin = disks.find((other) => other !== disk && other.path === disk.path);
    if (twin && disks.indexOf(twin) < disks.indexOf(disk)) {
      findings.problem(
        "destination",
        "image-in-use",
        `disks ${twin.name} and ${disk.name} are both at ${disk.path}, expected a path for each. Change one with ` +
          "-- --xml FILE",
      );
    }
    judgeImage(disk, wishes, findings);
    noteChain(disk, wishes, findings);
  }
  return { images: disks.map((disk) => imageToPrepare(disk, wishes)), findings };
}

function judgeImage(disk: CopiedDisk, { reuse }: ImageWishes, found: Collected): void {
  const { name, path, there } = disk;
  const problem = (code: Parameters<Collected["problem"]>[1], message: string) =>
    found.problem("destination", code, message);
  if (there.problem !== null) {
    problem("image-unfit", `disk ${name}: ${path} cannot be inspected: ${there.problem}`);
  } else if (there.state === "missing") {
    judgeMissing(disk, found);
  } else if (isSameStorage(disk.here, there)) {
    problem(
      "shared-storage",
      `disk ${name}: ${path} is the storage that the source's guest runs from, expected storage of the ` +
        `destination. If both hosts share it on purpose, add --shared ${name}; else give another path with ` +
        "-- --xml FILE",
    );
  } else if (there.state === "other") {
    problem(
      "image-unfit",
      `disk ${name}: ${path} is neither a file nor a block device, expected an image. Remove it, or ` +
        "give another path with -- --xml FILE",
    );
  } else if (there.usedBy !== null) {
    problem(
      "image-in-use",
      `disk ${name}: ${path} is a disk of domain ${there.usedBy}, expected a free path. Give another one with ` +
        "-- --xml FILE",
    );
  } else if (!reuse.includes(name)) {
    const what = there.state === "block" ? "is a block device" : "exists";
    problem(
      "image-exists",
      `disk ${name}: ${path} ${what}${
        sizeOf(disk)
      }, expected no image. If it may be overwritten, add ` +
        `--reuse ${name}; if both hosts share it, add --shared ${name}; else move it away`,
    );
  } else {
    judgeReused(disk, found);
  }
}

function judgeMissing(disk: CopiedDisk, found: Collected): void {
  const { name, path, there, image, format } = disk;
  const size = inBytes(image.sizeBytes);
  if (disk.type === "block" || path.startsWith("/dev/")) {
    const steps = format === "raw" ? "" : `, run there: ${formatCommand(disk)}`;
    found.problem(
      "destination",
      "image-missing",
      `disk ${name}: there is no block device ${path}, expected one for ${size}. Create it${steps}, and add ` +
        `--reuse ${name}`,
    );
  } else if (!there.directory) {
    found.problem(
      "destination",
      "image-missing",
      `disk ${name}: there is no directory for ${path}. Create it, or give another path with -- --xml FILE`,
    );
  }
  if (image.special !== null) {
    found.problem(
      "destination",
      "image-missing",
      `disk ${name}: ${path} is missing, and the source's image is ${image.special}, which vmferry does not ` +
        `create. Create it like the source's with ${size} ('virsh vol-create'), and add --reuse ${name}`,
    );
  }
}

/** An image that is overwritten must have the right format and the size of the disk. */
function judgeReused(disk: CopiedDisk, found: Collected): void {
  const { name, path, there, image, format } = disk;
  const [isRaw, isBlock] = [format === "raw", there.state === "block"];
  if (!isRaw && there.format !== null && there.format !== format) {
    const advice = isBlock
      ? `Run there: ${formatCommand(disk)}`
      : "Remove it, and vmferry creates it";
    found.problem(
      "destination",
      "image-unfit",
      `disk ${name}: ${path} has the format ${there.format}, expected ${format} as at the source. ${advice}`,
    );
    return;
  }
  const size = isRaw ? inSectors(there.fileBytes ?? there.sizeBytes) : there.sizeBytes;
  if (size === null) {
    found.warnings.push(
      `the size of ${path} for disk ${name} at the destination is unknown; it needs ` +
        inBytes(image.sizeBytes),
    );
  } else if (size !== image.sizeBytes) {
    // A mirror job of QEMU (5.1 and later) refuses a larger target, too.
    const advice = !isBlock
      ? "Remove it, and vmferry creates it; or change its size with 'qemu-img resize'"
      : isRaw
      ? "Give the device this size"
      : `Run there: ${formatCommand(disk)}`;
    found.problem(
      "destination",
      "image-unfit",
      `disk ${name}: ${path} has ${inBytes(size)}, expected ${
        inBytes(image.sizeBytes)
      } as at the source. ${advice}`,
    );
  }
}

/** Makes an empty image in a block device. */
function formatCommand({ path, format, image }: CopiedDisk): string {
  return `qemu-img create -f ${format} ${path} ${image.sizeBytes}`;
}

/** A size that must be met exactly. */
function inBytes(size: number): string {
  return `${bytes(size)} (${size} bytes)`;
}

/** The size that QEMU gives a raw file. */
function inSectors(size: number | null): number | null {
  return size === null ? null : Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES;
}

function noteChain({ name, image }: CopiedDisk, { copy }: ImageWishes, found: Collected): void {
  if (image.backing === null || copy === "inc") return;
  found.notes.push(
    `disk ${name} has the backing file ${image.backing.path}: the destination gets one image with everything. ` +
      "-- --copy-storage-inc copies the uppermost image only",
  );
}

function imageToPrepare(disk: CopiedDisk, { copy }: ImageWishes): ImageToPrepare {
  const { name, path, format, image, there } = disk;
  const isQcow2 = format === "qcow2";
  return {
    ...{ name, path, format },
    create: there.state === "missing",
    sizeBytes: image.sizeBytes,
    clusterBytes: isQcow2 ? image.clusterBytes : null,
    compat: isQcow2 ? image.compat : null,
    extendedL2: isQcow2 && image.extendedL2,
    lazyRefcounts: isQcow2 && image.lazyRefcounts,
    backing: copy === "inc" && image.backing ? { ...image.backing } : null,
  };
}

function sizeOf({ there }: CopiedDisk): string {
  const size = there.sizeBytes ?? there.fileBytes;
  return size === null ? "" : ` and has ${bytes(size)}`;
}

/** Whether both ends name the same storage. */
export function isSameStorage(here: StorageKeys, there: StorageKeys): boolean {
  const node = { node: "", driver: "", address: "", written: true };
  return isSame(
    { ...node, keys: [...here.keys], beneath: [...here.beneath] },
    { ...node, keys: [...there.keys], beneath: [...there.beneath] },
  );
}
