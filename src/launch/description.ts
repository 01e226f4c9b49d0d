/**
 * The guest's machine as the source describes it, to be built again at the destination. Shapes only.
 *
 * @module
 */
import type { QemuCommand, QemuOption } from "./command/command.ts";

/** The QEMU process behind a QMP socket, from /proc. */
export interface QemuProcess {
  /** Its id, in the namespace of this vmferry. */
  readonly pid: number;
  /** Path of the executable, such as `/usr/bin/qemu-system-x86_64`. */
  readonly binary: string;
  /** The file of the executable was replaced or removed since QEMU was started, as by an upgrade. */
  readonly replaced: boolean;
  /** Its command line; the first word is the binary as it was called. */
  readonly argv: readonly string[];
  /** Working directory. */
  readonly cwd: string;
  /**
   * Why paths of QEMU may not be those of this host: it has a mount namespace of its own, such as by
   * `PrivateTmp=` of its unit; `null`: they are.
   */
  readonly otherMounts: string | null;
  /** The variables of its start that matter to QEMU (src/cli/host/qemu_report.ts). */
  readonly environment: Readonly<Record<string, string>>;
  /** The user that it runs as; names where the host has them, else numbers. */
  readonly user: { readonly uid: number; readonly name: string; readonly group: string };
  /** The systemd unit that it belongs to, such as `vm1.service`; `null`: none. */
  readonly unit: { readonly name: string; readonly scope: "system" | "user" } | null;
  /** File descriptors above 2 that it may have inherited: those that neither QEMU nor KVM opens by itself. */
  readonly descriptors: readonly { readonly fd: number; readonly target: string }[];
}

/** What QMP knows of the machine and its command line may not. */
export interface MachineFacts {
  /** QEMU's version, such as `10.0.2`. */
  readonly version: string;
  /** Such as `pc-q35-10.0`. */
  readonly machineType: string;
  /** The guest's images: those that it writes to and those that it only reads. */
  readonly images: readonly GuestImage[];
  /** Options that bring back what was added while the guest ran: disks, NICs, vCPUs, memory. */
  readonly added: readonly (readonly [option: string, value: string])[];
  /** Ids of devices, backends and nodes of the command line that were removed since. */
  readonly removed: readonly string[];
  /** Options of the command line that no longer say what QEMU has, such as the medium of a CD drive. */
  readonly changed: readonly ChangedOption[];
  /**
   * Further changes for an image that arrives without those below it, by its name: the command line names
   * them (`backing=`).
   */
  readonly flat: Readonly<Record<string, readonly ChangedOption[]>>;
  /** What cannot be brought back, a sentence each. */
  readonly problems: readonly string[];
  /** What the new QEMU has otherwise and no guest notices, a sentence each. */
  readonly warnings: readonly string[];
}

/** An option that is to be replaced. */
export interface ChangedOption {
  /** Its index in `QemuCommand.options`. */
  readonly index: number;
  /** In its place; `null`: nothing. */
  readonly option: QemuOption | null;
}

/** An image that QEMU has open. Sizes in bytes. */
export interface GuestImage {
  /** The disk's name, as `--disk` takes it; for a medium or firmware, the same rule. */
  readonly name: string;
  /**
   * Absolute path at the source, as the command line of now gives it ({@link MachineFacts}): not
   * resolved but for QEMU's working directory. For anything but a file or block device, QEMU's own words.
   */
  readonly path: string;
  /**
   * The image that QEMU writes to, where a snapshot, a mirror or a commit has replaced the one of the
   * command line; `null`: `path`. `format` is that of the command line, `backing` that of this image.
   */
  readonly active: string | null;
  /** A path in the file system; otherwise the image is reached by a protocol, such as NBD. */
  readonly local: boolean;
  /** Such as `qcow2`. */
  readonly format: string;
  /** The size that the guest sees; it may have been resized since the start. */
  readonly virtualSize: number;
  /** The guest cannot write to it: a CD, firmware code. */
  readonly readOnly: boolean;
  /** qcow2 only. */
  readonly clusterSize: number | null;
  /** Version of qcow2: `0.10`, `1.1`. */
  readonly compat: string | null;
  /** qcow2 with subclusters. */
  readonly extendedL2: boolean;
  /** qcow2 that writes its reference counts late. */
  readonly lazyRefcounts: boolean;
  /** A raw file that is allocated as a whole. */
  readonly allocated: boolean;
  /** Bytes that it and all images below it take in their file systems; `null` where unknown. */
  readonly chainBytes: number | null;
  /** The image below, if any. */
  readonly backing: { readonly path: string; readonly format: string } | null;
  /** qcow2 whose data lies in a second file: that file, as the image names it. */
  readonly dataFile?: string;
  /** Why an image like it needs more than its format and size, such as `it is encrypted`. */
  readonly obstacle?: string;
  /** Permission bits of the file. */
  readonly mode: number;
}

/** The whole description. */
export interface MachineDescription {
  /** Its name and UUID, if it has them. */
  readonly guest: { readonly name: string | null; readonly uuid: string | null };
  /** QEMU at the source. */
  readonly process: QemuProcess;
  /** Its command line. */
  readonly command: QemuCommand;
  /** What the command line does not say. */
  readonly facts: MachineFacts;
}
