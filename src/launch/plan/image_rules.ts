/**
 * Rules on the images that a launch creates, overwrites or finds. Pure.
 *
 * @module
 */
import { exactSize } from "../../io/mod.ts";
import { type Collected, isSame, type StorageKeys } from "../../migrate/mod.ts";
import type { LaunchFileFacts } from "../../rpc/mod.ts";
import type { LaunchWishes } from "./wishes.ts";
import type { PlannedFile, SourceFile } from "./planned_file.ts";

/** A file with what both ends know of it. */
export interface KnownFile {
  readonly file: PlannedFile;
  /** `undefined` where the source could not look at it. */
  readonly here: SourceFile | undefined;
  readonly there: LaunchFileFacts;
}

/** How a file is placed elsewhere. */
export const ELSEWHERE = "give another path with --map OLD=NEW";

/** Judges a disk that is copied. */
export function judgeCopied(
  known: KnownFile,
  { reuse, sync }: Pick<LaunchWishes, "reuse" | "sync">,
  found: Collected,
): void {
  const { file, here, there } = known;
  const { name, to, image } = file;
  const other = `give another path with --disk ${name}=PATH or --map OLD=NEW`;
  const problem = (code: Parameters<Collected["problem"]>[1], message: string) =>
    found.problem("destination", code, message);
  if (here && sameStorage(here.storage, there)) {
    problem(
      "shared-storage",
      `disk ${name}: ${to} is the storage that the source's guest runs from, expected storage of the ` +
        `destination. If both hosts share it on purpose, add --shared ${name}; else ${other}`,
    );
  } else if (sync === "top" && image?.active) {
    problem(
      "image-unfit",
      `disk ${name}: ${image.active} has replaced ${image.path} since QEMU was started, and with --sync top ` +
        "the destination's QEMU would open another chain of images. Leave out --sync top",
    );
  } else if (there.problem !== null) {
    problem("image-unfit", `disk ${name}: ${to}: ${there.problem}. Mend that, or ${other}`);
  } else if (there.state === "missing") {
    judgeMissing(known, other, problem);
  } else if (there.state !== "file" && there.state !== "block") {
    problem(
      "image-unfit",
      `disk ${name}: ${to} is neither a file nor a block device, expected an image. Move it away, or ${other}`,
    );
  } else if (there.usedBy !== null || !reuse.includes(name)) {
    judgeTaken(known, reuse, other, problem);
  } else if (sync === "top" && image?.backing) {
    problem(
      "image-unfit",
      `disk ${name}: ${to} exists, and --sync top needs a new image over ${image.backing.path}. Move it away, or ` +
        "leave out --sync top",
    );
  } else if (!there.writable) {
    problem("image-unfit", `disk ${name}: ${to} cannot be written to. Change its permissions`);
  } else if (image) judgeReused(known, problem);
}

/** An image that is there and must not be overwritten now; both reasons at once save a second try. */
function judgeTaken(
  { file: { name, to }, there }: KnownFile,
  reuse: readonly string[],
  other: string,
  problem: (code: "image-in-use" | "image-exists", message: string) => void,
): void {
  if (there.usedBy !== null) {
    problem(
      "image-in-use",
      `disk ${name}: ${there.usedBy} has ${to} open, expected a free path. End it, or ${other}`,
    );
  }
  if (reuse.includes(name)) return;
  const what = there.state === "block" ? "is a block device" : "exists";
  problem(
    "image-exists",
    `disk ${name}: ${to} ${what}${
      sizeOf(there)
    }, expected no image. If it may be overwritten, add ` +
      `--reuse ${name}; if both hosts share it, add --shared ${name}; else move it away, or ${other}`,
  );
}

function judgeMissing(
  { file: { name, to, image }, there }: KnownFile,
  other: string,
  problem: (code: "image-missing", message: string) => void,
): void {
  const size = image ? exactSize(image.virtualSize) : "its size";
  if (to.startsWith("/dev/")) {
    problem(
      "image-missing",
      `disk ${name}: there is no block device ${to}, expected one of at least ${size}. Create it and add ` +
        `--reuse ${name}, or ${other}`,
    );
  } else if (image?.obstacle !== undefined) {
    problem(
      "image-missing",
      `disk ${name}: vmferry cannot create an image like ${image.path}, because ${image.obstacle}. Create ${to} ` +
        `with a size of ${size} and add --reuse ${name}`,
    );
  } else if (!there.writable) {
    problem(
      "image-missing",
      `disk ${name}: no file can be created at ${to}. Change that, or ${other}`,
    );
  }
}

/** An image that is overwritten must have the right format, and room for the whole disk. */
function judgeReused(
  { file, there }: KnownFile,
  problem: (code: "image-unfit", message: string) => void,
): void {
  const { name, to } = file;
  const { format, virtualSize } = file.image!;
  const isRaw = format === "raw";
  if (!isRaw && there.format !== null && there.format !== format) {
    problem(
      "image-unfit",
      `disk ${name}: ${to} has the format ${there.format}, expected ${format} as at the source. Move it away, and ` +
        "vmferry creates it",
    );
    return;
  }
  const size = isRaw ? there.fileBytes ?? there.sizeBytes : there.sizeBytes;
  if (size === null || size >= virtualSize) return;
  const advice = there.state === "block"
    ? "Make the device larger"
    : "Move it away, and vmferry creates it; or enlarge it with 'qemu-img resize'";
  problem(
    "image-unfit",
    `disk ${name}: ${to} has ${exactSize(size)}, the source's disk has ${
      exactSize(virtualSize)
    }. ${advice}`,
  );
}

/** Judges a disk that is not copied: the destination must have it. */
export function judgeStaying({ file, there }: KnownFile, found: Collected): void {
  const { name, to, use } = file;
  const remedy = use === "shared"
    ? `Mount the shared storage there, or leave out --shared ${name}`
    : "Have it copied (--disk), or put an image there";
  const what = `${use === "shared" ? "shared disk" : "disk"} ${name}: ${to}`;
  if (there.problem !== null) {
    found.problem("destination", "image-unfit", `${what}: ${there.problem}`);
  } else if (there.state !== "file" && there.state !== "block") {
    const state = there.state === "missing" ? "is missing" : "is neither a file nor a block device";
    found.problem("destination", "image-missing", `${what} ${state}. ${remedy}`);
  }
}

function sizeOf({ sizeBytes, fileBytes }: LaunchFileFacts): string {
  const size = sizeBytes ?? fileBytes;
  return size === null ? "" : ` and has ${exactSize(size)}`;
}

/** Whether both ends name the same storage. */
export function sameStorage(here: StorageKeys, there: StorageKeys): boolean {
  const node = { node: "", driver: "", address: "", written: true };
  const named = ({ keys, beneath }: StorageKeys) => ({
    ...node,
    keys: [...keys],
    beneath: [...beneath],
  });
  return isSame(named(here), named(there));
}
