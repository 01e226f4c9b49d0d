/**
 * Rules on files that are not copied: media, kernels, firmware, backing files and shared disks. Pure.
 *
 * @module
 */
import { isAtLeast } from "../../libvirt/mod.ts";
import type { DomainImageFacts } from "../../rpc/mod.ts";
import { Collected, type Findings } from "./findings.ts";
import { bytes } from "./words.ts";

/** What a file is for. */
export type FileUse =
  /** A CD, a floppy or a read-only disk. */
  | "medium"
  /** A disk that both hosts share. */
  | "shared"
  /** A backing file of an image that libvirt copies without it. */
  | "backing"
  /** Kernel, initrd or device tree. */
  | "boot"
  /** Firmware, whose code crosses with RAM. */
  | "firmware";

/** A file that the destination must have already. */
export interface NeededFile {
  /** A disk's target, or an element such as `kernel`. */
  readonly name: string;
  readonly use: FileUse;
  /** Where it lies at the destination. */
  readonly path: string;
  /** Its length at the source, for a shared disk its virtual size, bytes; `null` where unknown. */
  readonly sizeBytes: number | null;
  readonly there: DomainImageFacts;
  /** libvirt starts the domain without it where it is missing (`startupPolicy`). */
  readonly optional: boolean;
}

/** Judges the files that the destination must have already. */
export function judgeFiles(files: readonly NeededFile[], domain: string): Findings {
  const found = new Collected();
  for (const file of files) judgeFile(file, domain, found);
  return found;
}

function judgeFile(file: NeededFile, domain: string, found: Collected): void {
  const { path, there, use } = file;
  const what = nameOf(file);
  if (there.problem !== null) {
    const message = `${what}: ${path} cannot be inspected: ${there.problem}`;
    found.problem("destination", "image-unfit", message);
    return;
  }
  if (there.state === "missing" && file.optional) {
    found.warnings.push(
      `${what}: ${path} is missing at the destination: libvirt takes the medium out (startupPolicy)`,
    );
    return;
  }
  if (there.state === "missing" || there.state === "other") {
    const state = there.state === "missing" ? "is missing" : "is neither a file nor a block device";
    found.problem(
      "destination",
      "image-missing",
      `${what}: ${path} ${state}. ${remedy(file, domain)}`,
    );
    return;
  }
  const size = use === "shared" ? there.sizeBytes : there.fileBytes;
  if (file.sizeBytes !== null && size !== null && size !== file.sizeBytes) {
    found.problem(
      "destination",
      "image-unfit",
      `${what}: ${path} has ${bytes(size)}, the source's has ${
        bytes(file.sizeBytes)
      }, expected the same file. ` +
        remedy(file, domain),
    );
    return;
  }
  if (there.sampleEqual !== false) return;
  if (use === "firmware") {
    found.warnings.push(
      `${what}: ${path} differs between both hosts. The guest keeps the source's until it is started again`,
    );
  } else if (use !== "shared") {
    found.problem(
      "destination",
      "image-unfit",
      `${what}: ${path} has other content than at the source, expected the same file. ${
        remedy(file, domain)
      }`,
    );
  }
}

function nameOf({ name, use }: NeededFile): string {
  switch (use) {
    case "medium":
      return `disk ${name}`;
    case "shared":
      return `shared disk ${name}`;
    case "backing":
      return `backing file of disk ${name}`;
    case "boot":
    case "firmware":
      return name;
  }
}

function remedy({ name, use, path }: NeededFile, domain: string): string {
  switch (use) {
    case "medium":
      return "Copy the source's file to that path, or take the medium out with " +
        `'virsh change-media ${domain} ${name} --eject --live' if it is a removable one`;
    case "shared":
      return "Mount the shared storage there, or leave the disk to be copied";
    case "backing":
      return "Copy the source's file to that path, or copy the whole disk with --copy-storage-all";
    case "boot":
    case "firmware":
      return `Copy the source's file to ${path}, or give another path with -- --xml FILE`;
  }
}

/** Types of file systems that no other host has mounted, as coreutils names them. */
const LOCAL_TYPES: readonly string[] = [
  ...["ext2/ext3", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "tmpfs", "ramfs"],
  "overlayfs",
];
/** From about this version on `shared_filesystems` in libvirt's qemu.conf may name local types, too. */
const CONFIGURABLE_SINCE = "10.6.0";

/**
 * Judges whether libvirt migrates the domain without copying this disk. For a file it asks whether its file
 * system is a shared one (`qemuMigrationSrcIsSafe`, libvirt 9.0), and refuses only after the preparation.
 */
export function judgeSharing({ name, path, fileSystem, daemon, unsafe }: {
  readonly name: string;
  readonly path: string;
  /** `null` where it is not known, or where the disk is no file. */
  readonly fileSystem: string | null;
  /** Version of the source's libvirt; `null` where unknown. */
  readonly daemon: string | null;
  /** `--unsafe` is given. */
  readonly unsafe: boolean;
}): Findings {
  const found = new Collected();
  if (unsafe || fileSystem === null || !LOCAL_TYPES.includes(fileSystem)) return found;
  if (daemon === null || isAtLeast(daemon, CONFIGURABLE_SINCE)) return found;
  found.problem(
    "source",
    "option-refused",
    `disk ${name} is not copied, and its file ${path} is on ${fileSystem}, which libvirt takes for a file ` +
      "system of this host alone: it refuses an unsafe migration. If both hosts have the same file, add " +
      "-- --unsafe; if not, have the disk copied",
  );
  return found;
}
