/**
 * Messages about what a copy of the disks leaves behind. Pure.
 *
 * @module
 */
import type { Disk } from "../../qmp/mod.ts";
import { type DiskPair, isMirrored } from "./plan.ts";

/** A problem for each disk whose writes bypass QEMU's block layer: a mirror would miss them. */
export function unmovable(disks: readonly Disk[]): string[] {
  return disks.filter((d) => d.passedThrough).map(({ name }) =>
    `disk ${name} is a SCSI device of the host (scsi-block, scsi-generic). The guest's writes bypass ` +
    "QEMU's block layer and would not be copied. Select the other disks with --disk"
  );
}

/**
 * A message for each disk that is not copied: `shared` disks must be on storage that both hosts reach,
 * `media` are read-only. Firmware code is left out.
 */
export function notCopied(disks: readonly Disk[]): { shared: string[]; media: string[] } {
  const stays = disks.filter((disk) => !isMirrored(disk) && !disk.empty && !disk.firmware);
  return {
    shared: stays.filter((disk) => !disk.readOnly).map(({ name }) =>
      `disk ${name} is not copied: it is shared with other guests (share-rw=on). ` +
      "Give the destination's QEMU the same storage"
    ),
    media: stays.filter((disk) => disk.readOnly).map(({ name }) =>
      `disk ${name} is not copied: it is read-only. Give the destination's QEMU the same medium`
    ),
  };
}

/** A warning for each disk with snapshots or bitmaps: a mirror copies only the disk's present content. */
export function staysBehind(disks: readonly Disk[]): string[] {
  const warn = (what: string, of: (disk: Disk) => readonly string[] | undefined) =>
    disks.filter((disk) => (of(disk) ?? []).length > 0)
      .map((disk) => `disk ${disk.name}: ${what} ${of(disk)!.join(", ")} stay behind`);
  return [
    ...warn("internal snapshots", (disk) => disk.snapshots),
    ...warn("dirty bitmaps", (disk) => disk.bitmaps),
  ];
}

/**
 * A warning for each disk that the source's QEMU encrypts and the destination's does not.
 *
 * @param encrypted the source's names of the disks that its QEMU encrypts.
 */
export function losesEncryption(
  pairs: readonly DiskPair[],
  encrypted: readonly string[],
): string[] {
  return pairs.filter(({ name, local }) => encrypted.includes(name) && !local.encrypted)
    .map(({ name }) =>
      `disk ${name} is encrypted at the source, and the destination's QEMU does not encrypt it: its data is ` +
      "stored there as the guest sees it. To keep it encrypted, give the destination an encrypted image"
    );
}

/** A warning for each disk that is copied although other guests may write to it. */
export function copiedThoughShared(copied: readonly Disk[]): string[] {
  return copied.filter((disk) => disk.shared).map(({ name }) =>
    `disk ${name} is copied although it is shared with other guests (share-rw=on): ` +
    "what they write meanwhile is not copied"
  );
}
