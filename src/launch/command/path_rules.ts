/**
 * The keys that hold paths, of QEMU 7.2 to 11.1. Images are in image_name.ts, character devices in
 * path_places.ts.
 *
 * @module
 */
import { type PathUse, use } from "./path.ts";

/** A key that holds a path. */
export interface PathRule {
  readonly key: string;
  /** Only where the option's first value, such as a driver, is one of these. */
  readonly types?: readonly string[];
  readonly use: PathUse;
}

const reads = use("read-only");
const searched = use("read-only", { searched: true });
const output = use("output");
const device = use("device", { writable: true });
const directory = use("directory");
const program = use("program");
const connects = use("socket", { connects: true });

const rule = (key: string, what: PathUse, ...types: string[]): PathRule => ({
  key,
  use: what,
  ...(types.length === 0 ? {} : { types }),
});

const SHARES = [
  rule("path", use("directory", { writable: true }), "local"),
  rule("socket", connects, "proxy"),
];
const AUDIO = [
  rule("path", output, "wav"),
  rule("in.dev", device, "oss"),
  rule("out.dev", device, "oss"),
];
const NETWORK = [
  rule("script", program),
  rule("downscript", program),
  rule("helper", program),
  rule("path", program, "passt"),
  rule("tftp", directory),
  rule("smb", use("directory", { writable: true })),
  rule("sock", use("directory"), "vde"),
  rule("remote.path", connects, "dgram"),
  rule("local.path", use("socket"), "dgram"),
  rule("vhostdev", device, "vhost-vdpa"),
];

/** Rules by option; the key "" is a value that is a path as a whole. */
export const PATH_RULES: Readonly<Record<string, readonly PathRule[]>> = {
  "machine": [
    rule("kernel", reads),
    rule("initrd", reads),
    rule("dtb", searched),
    rule("shim", reads),
    rule("firmware", searched),
    rule("dumpdtb", output),
  ],
  "accel": [rule("device", device)],
  "boot": [rule("splash", searched)],
  "mem-path": [rule("", use("directory", { writable: true }))],
  "audio": AUDIO,
  "audiodev": AUDIO,
  "device": [
    rule("romfile", searched),
    rule("file", reads, "loader"),
    rule("kernel", reads, "guest-loader"),
    rule("initrd", reads, "guest-loader"),
    rule("file", output, "canokey"),
    rule("cdat", reads),
    rule("frudatafile", reads),
    rule("sdrfile", reads),
    rule("pcap", output),
    rule("dir", directory, "u2f-emulated"),
    rule("hidraw", device),
    rule("evdev", device),
    rule("sysfsdev", device),
    rule("hostdevice", device),
    rule("rootdir", use("directory", { writable: true }), "usb-mtp"),
  ],
  "fsdev": SHARES,
  "virtfs": SHARES,
  "display": [rule("rendernode", device)],
  "spice": [
    rule("x509-dir", directory),
    rule("x509-key-file", reads),
    rule("x509-cert-file", reads),
    rule("x509-cacert-file", reads),
    rule("x509-dh-key-file", reads),
    rule("rendernode", device),
  ],
  "vnc": [rule("x509", directory), rule("x509verify", directory)],
  "smbios": [rule("file", reads), rule("path", reads)],
  "netdev": NETWORK,
  "nic": NETWORK,
  "net": NETWORK,
  "tpmdev": [rule("path", device), rule("cancel-path", device)],
  "bios": [rule("", searched)],
  "kernel": [rule("", reads)],
  "shim": [rule("", reads)],
  "initrd": [rule("", reads)],
  "dtb": [rule("", searched)],
  "fw_cfg": [rule("file", reads)],
  "pidfile": [rule("", output)],
  "D": [rule("", output)],
  "L": [rule("", directory)],
  "option-rom": [rule("romfile", searched)],
  "icount": [rule("rrfile", output)],
  "readconfig": [rule("", use("config"))],
  "trace": [rule("file", output), rule("events", reads)],
  "plugin": [rule("file", program)],
  "chroot": [rule("", directory)],
  "run-with": [rule("chroot", directory)],
  "dump-vmstate": [rule("", output)],
  "qtest-log": [rule("", output)],
  "object": [
    rule("file", reads, "secret", "igvm-cfg"),
    rule("file", output, "filter-dump"),
    rule(
      "dir",
      directory,
      "tls-creds-x509",
      "tls-creds-anon",
      "tls-creds-psk",
      "tls-cipher-suites",
    ),
    rule("filename", device, "rng-random"),
    rule("filename", reads, "authz-list-file", "authz-listfile"),
    rule("log", output, "qtest"),
    rule("socket.path", use("socket"), "x-vfio-user-server"),
    rule("quote-generation-socket.path", connects, "tdx-guest"),
    rule("path", connects, "pr-manager-helper"),
    rule("evdev", device, "input-linux"),
    rule("sev-device", device),
    rule("dh-cert-file", reads),
    rule("session-file", reads),
  ],
};

/** Options whose whole value is the name of an image. */
export const IMAGE_OPTIONS: Readonly<Record<string, PathUse>> = {
  "drive-file": use("image"),
  ...Object.fromEntries(
    ["fda", "fdb", "hda", "hdb", "hdc", "hdd", "mtdblock", "sd", "pflash"].map((
      name,
    ) => [name, use("image")]),
  ),
  "cdrom": use("read-only"),
};
