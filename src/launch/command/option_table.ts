/**
 * The options of qemu-system-*, QEMU 7.2 to 11.1 (qemu-options.hx), and what a launch does with each.
 * docs/reference/launch-options.md is made from it.
 *
 * @module
 */

/** What happens to an option at the destination. */
export type Effect =
  /** It stays; only the paths in it change. */
  | "keep"
  /** It is left out. */
  | "drop"
  /** vmferry puts its own in its place. */
  | "replace"
  /** The launch is refused. */
  | "refuse"
  /** One of the others, depending on its value. */
  | "depends";

/**
 * Syntax of a value: plain text, `key=value,...` (QemuOpts, keyval or JSON), or the short form of a
 * character device, such as `unix:/run/m.sock,server=on`.
 */
export type Syntax = "text" | "options" | "character-device";

/** A row of the table. */
export interface OptionRule {
  /** Syntax of its value; `null`: it has none. */
  readonly syntax: Syntax | null;
  /** The key that a first value without one has. */
  readonly first?: string;
  readonly effect: Effect;
  /** What happens and why, for the documentation; for `refuse` and `drop`, also the message. */
  readonly note?: string;
  /** The name that QEMU treats as the same option. */
  readonly alias?: string;
  /** The only QEMU versions that have it, such as `[0, 7]` for up to 7.2 and `[10, 99]` for 10.0 on. */
  readonly majors?: readonly [number, number];
}

type Extra = Partial<OptionRule>;
const flag = (effect: Effect = "keep", note?: string, extra: Extra = {}): OptionRule => ({
  ...{ syntax: null, effect, ...extra },
  ...(note === undefined ? {} : { note }),
});
const text = (effect: Effect = "keep", note?: string, extra: Extra = {}): OptionRule => ({
  ...flag(effect, note, extra),
  syntax: "text",
});
const character = (effect: Effect = "depends", note: string = CHARACTER): OptionRule => ({
  ...flag(effect, note),
  syntax: "character-device",
});
const options = (
  first: string | null,
  effect: Effect = "keep",
  note?: string,
  extra: Extra = {},
): OptionRule => ({
  ...flag(effect, note, extra),
  ...{ syntax: "options", ...(first === null ? {} : { first }) },
});

const PRINTS = "QEMU prints something and ends; no guest runs with it";
const CHARACTER = "`stdio` becomes a pseudo-terminal, a waiting server does not wait; " +
  "`pipe` and inherited descriptors are refused";
const IMAGE = "the image's path is mapped";
const FILE = "the file is compared, and copied when it is missing";
const NETWORK = "interface names and scripts must exist at the destination; " +
  "inherited descriptors and vhost-vdpa are refused";

/** Every option by its name without dashes. */
export const OPTIONS: Readonly<Record<string, OptionRule>> = {
  // Standard options.
  "help": flag("refuse", PRINTS),
  "h": flag("refuse", PRINTS, { alias: "help" }),
  "version": flag("refuse", PRINTS),
  "machine": options(
    "type",
    "keep",
    "the type becomes the exact one, such as `pc-q35-10.0` for `q35`",
  ),
  "M": options("type", "keep", undefined, { alias: "machine" }),
  "cpu": text(),
  "accel": options("accel"),
  "smp": options("cpus"),
  "numa": options("type"),
  "add-fd": options(
    null,
    "refuse",
    "it passes a file descriptor that QEMU inherited; open the file by its path instead",
  ),
  "set": text("depends", "kept for devices and drives; a path in it is mapped"),
  "global": text(),
  "boot": options("order", "keep", "`splash`: " + FILE),
  "m": options("size"),
  "mem-path": text("keep", "the directory must exist at the destination"),
  "mem-prealloc": flag(),
  "k": text(),
  "audio-help": flag("refuse", PRINTS, { majors: [0, 7] }),
  "audio": options("driver", "depends", "sound of a user's session becomes `none`"),
  "audiodev": options("driver", "depends", "sound of a user's session becomes `none`"),
  "device": options(
    "driver",
    "depends",
    "devices of the host (vfio, usb-host) are refused; vhost-user devices need their process",
  ),
  "name": options("guest"),
  "uuid": text(),

  // Block devices.
  "fda": text("keep", IMAGE),
  "fdb": text("keep", IMAGE),
  "hda": text("keep", IMAGE),
  "hdb": text("keep", IMAGE),
  "hdc": text("keep", IMAGE),
  "hdd": text("keep", IMAGE),
  "cdrom": text("keep", FILE),
  "drive-file": text("keep", "an image without an option; " + IMAGE),
  "blockdev": options("driver", "depends", IMAGE + "; NVMe and VFIO drivers are refused"),
  "drive": options(null, "depends", IMAGE + "; `snapshot=on` is refused"),
  "mtdblock": text("keep", IMAGE),
  "sd": text("keep", IMAGE),
  "pflash": text("keep", IMAGE),
  "snapshot": flag(
    "refuse",
    "the guest's writes are in temporary files that only the running QEMU can see; " +
      "start the guest without -snapshot",
  ),
  "fsdev": options("fsdriver", "keep", "the directory must exist at the destination"),
  "virtfs": options("fsdriver", "keep", "the directory must exist at the destination"),
  "iscsi": options(null),

  // USB and displays.
  "usb": flag(),
  "usbdevice": text("depends", "`host:` is refused"),
  "display": options("type", "depends", "a window or a terminal becomes a VNC server on localhost"),
  "nographic": flag("depends", "kept; its console becomes a pseudo-terminal"),
  "spice": options(null, "keep", "an address of the source host is reported"),
  "portrait": flag("keep", undefined, { majors: [0, 9] }),
  "rotate": text("keep", undefined, { majors: [0, 9] }),
  "vga": text(),
  "full-screen": flag("drop", "the destination's QEMU has no window"),
  "g": text(),
  "vnc": options("vnc", "keep", "an address of the source host is reported"),

  // One architecture.
  "win2k-hack": flag(),
  "no-fd-bootchk": flag(),
  "no-acpi": flag("replace", "becomes `-machine acpi=off`", { majors: [0, 8] }),
  "no-hpet": flag("replace", "becomes `-machine hpet=off`", { majors: [0, 8] }),
  "acpitable": options(null, "keep", FILE),
  "smbios": options(null, "keep", FILE),
  "prom-env": text(),
  "old-param": flag("keep", undefined, { majors: [0, 10] }),
  "semihosting": flag(),
  "semihosting-config": options("enable"),

  // Network.
  "netdev": options("type", "depends", NETWORK),
  "nic": options("type", "depends", NETWORK),
  "net": options("type", "depends", NETWORK),

  // Character devices and TPM.
  "chardev": options("backend", "depends", CHARACTER),
  "tpmdev": options(
    "type",
    "depends",
    "`emulator` needs swtpm at its socket; `passthrough` is refused",
  ),

  // Boot image or kernel.
  "bios": text(
    "keep",
    FILE +
      "; a bare name that is no file in QEMU's working directory is the destination's own firmware",
  ),
  "kernel": text("keep", FILE),
  "shim": text("keep", FILE, { majors: [10, 99] }),
  "append": text(),
  "initrd": text("keep", FILE),
  "dtb": text("keep", FILE),

  // Debug and expert options.
  "compat": options(null),
  "fw_cfg": options("name", "keep", FILE),
  "serial": character(),
  "parallel": character(),
  "monitor": character(),
  "qmp": character(),
  "qmp-pretty": character(),
  "mon": options("chardev"),
  "debugcon": character(),
  "pidfile": text("keep", "the directory must exist at the destination"),
  "preconfig": flag(
    "refuse",
    "QMP configured the machine before it started, and the command line does not show how; " +
      "give --qemu-command a command line without --preconfig",
  ),
  "S": flag("drop", "the guest's run state comes with the migration"),
  "overcommit": options(null),
  "gdb": character("depends", "kept; `stdio` is left out"),
  "s": flag(),
  "d": text(),
  "D": text("keep", "the directory must exist at the destination"),
  "dfilter": text(),
  "singlestep": flag("drop", "it slows TCG down for debugging", { majors: [0, 8] }),
  "seed": text(),
  "L": text("keep", "the directory must exist at the destination"),
  "enable-kvm": flag(),
  "xen-domid": text("refuse", "Xen migrates its guests by its own toolstack"),
  "xen-attach": flag("refuse", "Xen migrates its guests by its own toolstack"),
  "xen-domid-restrict": flag("refuse", "Xen migrates its guests by its own toolstack"),
  "no-reboot": flag(),
  "no-shutdown": flag(),
  "action": options(null),
  "loadvm": text("drop", "the guest's state comes with the migration"),
  "daemonize": flag("drop", "vmferry starts QEMU in the background by itself"),
  "option-rom": options("romfile", "keep", FILE),
  "rtc": options("base"),
  "icount": options("shift", "depends", "record and replay (`rr`) is refused"),
  "watchdog-action": text(),
  "echr": text(),
  "incoming": text("replace", "becomes `-incoming defer`"),
  "only-migratable": flag(),
  "nodefaults": flag(),
  "sandbox": options("enable"),
  "readconfig": text("replace", "the options in the file take its place"),
  "no-user-config": flag(),
  "trace": options("enable", "keep", "`events`: " + FILE),
  "plugin": options("file", "keep", "the plugin must exist at the destination"),
  "run-with": options(
    null,
    "depends",
    "`chroot` is refused, `exit-with-parent` is left out, `user` stays",
    { majors: [8, 99] },
  ),
  "runas": text("keep", "QEMU must start there with the rights to change its user", {
    majors: [0, 9],
  }),
  "chroot": text(
    "refuse",
    "vmferry's sockets are outside of QEMU's root directory; start the guest without chroot",
    { majors: [0, 8] },
  ),
  "async-teardown": flag("keep", undefined, { majors: [0, 8] }),
  "msg": options(null),
  "dump-vmstate": text("refuse", PRINTS),
  "enable-sync-profile": flag(),
  "perfmap": flag("keep", undefined, { majors: [8, 99] }),
  "jitdump": flag("keep", undefined, { majors: [8, 99] }),
  "qtest": character(),
  "qtest-log": text(),
  "object": options("qom-type", "depends", "host devices and kernel keyrings are refused"),

  // Only in the QEMU of Proxmox VE.
  "id": text("keep", "only in the QEMU of Proxmox VE, which ignores it", { majors: [0, -1] }),
};

/** The canonical name of an option; `null`: there is none. */
export function canonicalName(name: string): string | null {
  if (!Object.hasOwn(OPTIONS, name) || name === "drive-file") return null;
  return OPTIONS[name]!.alias ?? name;
}
