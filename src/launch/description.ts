/**
 * The guest's machine as the source describes it, to be built again at the destination. Shapes only.
 *
 * @module
 */
import type { QemuCommand } from "./command/command.ts";

/** The QEMU process behind a QMP socket, from /proc. */
export interface QemuProcess {
  readonly pid: number;
  /** Path of the executable, such as `/usr/bin/qemu-system-x86_64`. */
  readonly binary: string;
  /** Its command line; the first word is the binary as it was called. */
  readonly argv: readonly string[];
  /** Working directory. */
  readonly cwd: string;
  /** Its environment when it was started. */
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
  /** What cannot be brought back, a sentence each. */
  readonly problems: readonly string[];
}

/** An image that QEMU has open. Sizes in bytes. */
export interface GuestImage {
  /** The disk's name, as `--disk` takes it; for a medium or firmware, the same rule. */
  readonly name: string;
  /** Absolute path at the source; for anything but a file or block device, QEMU's own words. */
  readonly path: string;
  /** A path in the file system; otherwise the image is reached by a protocol, such as NBD. */
  readonly local: boolean;
  readonly format: string;
  readonly virtualSize: number;
  /** The guest cannot write to it: a CD, firmware code. */
  readonly readOnly: boolean;
  readonly clusterSize: number | null;
  readonly compat: string | null;
  readonly extendedL2: boolean;
  readonly lazyRefcounts: boolean;
  /** A raw file that is allocated as a whole. */
  readonly allocated: boolean;
  /** The image below, if any. */
  readonly backing: { readonly path: string; readonly format: string } | null;
  /** Permission bits of the file. */
  readonly mode: number;
}

/** The whole description. */
export interface MachineDescription {
  readonly guest: { readonly name: string | null; readonly uuid: string | null };
  readonly process: QemuProcess;
  readonly command: QemuCommand;
  readonly facts: MachineFacts;
}
