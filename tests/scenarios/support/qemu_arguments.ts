/**
 * The command line of a scenario's QEMU.
 *
 * @module
 */
import type { Image } from "../guest/mod.ts";
import { machineType } from "../pair/versions.ts";

/** How a disk is attached; `scsi-iothread`: to a virtio-scsi controller with its own thread. */
export type DiskBus = "virtio-blk" | "ide" | "scsi" | "scsi-iothread";

/** A disk of a guest. */
export interface Disk {
  /** Its qdev id, which is its name for vmferry. */
  readonly id: string;
  readonly image: Image;
  /** Default `virtio-blk`. */
  readonly bus?: DiskBus;
  /** A sector with I/O errors. Default: none. */
  readonly broken?: BrokenSector;
  /** The UNIX socket of an NBD server that serves the image. Default: QEMU opens the file itself. */
  readonly nbdSocket?: string;
  /** `discard` of its format node. Default: QEMU's, `ignore`. */
  readonly discard?: "unmap";
}

/** A sector whose accesses fail with EIO, as on a broken medium. */
export interface BrokenSector {
  readonly sector: number;
  readonly iotype: "read" | "write";
  /** A write error stops the guest (`werror=stop`). Default: QEMU reports it to the guest. */
  readonly stops?: boolean;
}

/** How a QEMU is started. */
export interface QemuOptions {
  /** Names its sockets and its part of the logs: `source`, `destination`. */
  readonly name: string;
  /** A short path: UNIX sockets are made in it. */
  readonly dir: string;
  /** In the order in which the BIOS sees them. */
  readonly disks: readonly Disk[];
  /** Waits for a migration (`-incoming defer`). */
  readonly incoming?: boolean;
  /** The guest starts paused (`-S`). */
  readonly paused?: boolean;
  /** Default 128. */
  readonly memoryMiB?: number;
  readonly machine?: string;
  readonly accel?: Accelerator;
  /** Entries of KVM's dirty ring. Default: KVM has a bitmap. */
  readonly dirtyRing?: number;
  /** The executable; default `QEMU`, for an incoming one `QEMU_DEST`, from the environment. */
  readonly binary?: string;
  /** Put before the command, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Its standard error goes to `NAME.log` in `dir`. Default: into the report of a failure. */
  readonly logged?: boolean;
  /** Further arguments. */
  readonly extra?: readonly string[];
}

export type Accelerator = "kvm" | "tcg";

/** `VMFERRY_ACCEL`, else KVM where /dev/kvm can be opened, else TCG. */
export function accelerator(): Accelerator {
  const wanted = Deno.env.get("VMFERRY_ACCEL");
  if (wanted === "kvm" || wanted === "tcg") return wanted;
  if (wanted) throw new Error(`VMFERRY_ACCEL is "${wanted}", expected "kvm" or "tcg"`);
  try {
    Deno.openSync("/dev/kvm", { read: true, write: true }).close();
    return "kvm";
  } catch {
    return "tcg";
  }
}

/** QEMU's arguments, with one QMP socket for vmferry and one that the scenario watches. */
export function qemuArguments(
  options: QemuOptions,
  qmpSocket: string,
  watchPath: string,
): string[] {
  const machine = options.machine ?? machineType();
  const disks = options.disks.flatMap((disk, index) => {
    const { path, format } = disk.image;
    const blockdev = {
      driver: format,
      "node-name": `${options.name}-${disk.id}`,
      file: fileOf(path, disk),
      ...(disk.discard ? { discard: disk.discard } : {}),
    };
    return [
      "-blockdev",
      JSON.stringify(blockdev),
      ...deviceArguments(disk, index, `${options.name}-${disk.id}`, machine),
    ];
  });
  return [
    ...["-name", options.name, "-machine", machine, "-accel", acceleratorOf(options)],
    ...["-m", String(options.memoryMiB ?? 128), "-nodefaults", "-display", "none"],
    ...["-chardev", `file,id=serial,path=${options.dir}/${options.name}.serial`],
    ...["-serial", "chardev:serial"],
    ...["-chardev", `socket,id=qmp,path=${qmpSocket},server=on,wait=off`],
    ...["-mon", "chardev=qmp,mode=control"],
    ...["-chardev", `socket,id=watch,path=${watchPath}`],
    ...["-mon", "chardev=watch,mode=control"],
    ...disks,
    ...(options.incoming ? ["-incoming", "defer"] : []),
    ...(options.paused ? ["-S"] : []),
    ...(options.extra ?? []),
  ];
}

function acceleratorOf({ accel = accelerator(), dirtyRing }: QemuOptions): string {
  return dirtyRing === undefined ? accel : `${accel},dirty-ring-size=${dirtyRing}`;
}

function fileOf(filename: string, { broken, nbdSocket }: Disk): object {
  const file = nbdSocket === undefined
    ? { driver: "file", filename }
    : { driver: "nbd", server: { type: "unix", path: nbdSocket } };
  if (!broken) return file;
  const { sector, iotype } = broken;
  const error = { event: "none", errno: 5, sector, iotype };
  return { driver: "blkdebug", image: file, "inject-error": [error] };
}

function deviceArguments(disk: Disk, index: number, node: string, machine: string): string[] {
  const stops = disk.broken?.stops ? ",werror=stop" : "";
  const common = `id=${disk.id},drive=${node},bootindex=${index}${stops}`;
  switch (disk.bus ?? "virtio-blk") {
    case "virtio-blk":
      return ["-device", `virtio-blk-pci,${common}`];
    case "scsi":
      return [
        ...["-device", `virtio-scsi-pci,id=${disk.id}-controller`],
        ...["-device", `scsi-hd,${common},bus=${disk.id}-controller.0`],
      ];
    case "scsi-iothread":
      return [
        ...["-object", `iothread,id=${disk.id}-thread`, "-device"],
        `virtio-scsi-pci,id=${disk.id}-controller,iothread=${disk.id}-thread`,
        ...["-device", `scsi-hd,${common},bus=${disk.id}-controller.0`],
      ];
    case "ide": {
      // q35 has a port for each disk, i440FX two disks on each of two channels.
      const place = machine.includes("q35")
        ? `bus=ide.${index}`
        : `bus=ide.${index >> 1},unit=${index & 1}`;
      return ["-device", `ide-hd,${common},${place}`];
    }
  }
}
