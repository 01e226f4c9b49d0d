import type { LaunchFileFacts } from "../../../src/rpc/mod.ts";
import type { GuestImage, MachineDescription } from "../../../src/launch/description.ts";
import { parseCommand } from "../../../src/launch/command/mod.ts";
import type { LaunchHostFacts } from "../../../src/launch/plan/host_rules.ts";
import type { SourceFile } from "../../../src/launch/plan/planned_file.ts";
import type { LaunchWishes } from "../../../src/launch/plan/wishes.ts";

const GiB = 2 ** 30;

export const WISHES: LaunchWishes = {
  ...{ maps: [], diskPaths: [], reuse: [], shared: [], allow: [] },
  ...{ sync: "full", persist: false },
};

export const IMAGE: GuestImage = {
  ...{ name: "vd0", path: "/vm/a.qcow2", local: true, format: "qcow2", virtualSize: 10 * GiB },
  ...{ readOnly: false, clusterSize: 65536, compat: "1.1", extendedL2: false },
  ...{ lazyRefcounts: true, allocated: false, backing: null, active: null, mode: 0o640 },
  chainBytes: null,
};

export const ARGV = [
  ...["/usr/bin/qemu-system-x86_64", "-name", "vm 1", "-machine", "q35", "-m", "1G"],
  ...["-kernel", "boot/vmlinuz", "-drive", "file=a.qcow2,if=none,id=d0,format=qcow2"],
  ...["-device", "virtio-blk-pci,drive=d0,id=vd0"],
  ...["-qmp", "unix:/run/vm/q,server=on,wait=off", "-pidfile", "/run/vm/pid"],
];

export function description(
  argv: readonly string[] = ARGV,
  images: readonly GuestImage[] = [IMAGE],
): MachineDescription {
  return {
    guest: { name: "vm 1", uuid: null },
    process: {
      ...{ pid: 4711, binary: argv[0]!, argv, cwd: "/vm", unit: null, descriptors: [] },
      ...{ environment: { TZ: "UTC" }, replaced: false, otherMounts: null },
      user: { uid: 0, name: "root", group: "root" },
    },
    command: parseCommand(argv),
    facts: {
      ...{ version: "10.0.2", machineType: "pc-q35-10.0", images },
      ...{ added: [], removed: [], changed: [], flat: {}, problems: [], warnings: [] },
    },
  };
}

export const HOST: LaunchHostFacts = {
  ...{ hostname: "host2", architecture: "x86_64", qemuImg: "10.0.2", systemd: true, refusal: null },
  ...{ userProblem: null, site: null },
  qemu: { path: "/usr/bin/qemu-system-x86_64", version: "10.0.2", hasMachine: true },
  user: { uid: 0, name: "root" },
};

export const MISSING: LaunchFileFacts = {
  ...{ name: "", state: "missing", sizeBytes: null, fileBytes: null, format: null, sha256: null },
  ...{ keys: [], beneath: [], usedBy: null, directory: true, writable: true },
  ...{ freeBytes: 100 * GiB, problem: null },
};

export const HERE: SourceFile = {
  ...{ isFile: true, sizeBytes: 1000, allocatedBytes: 4096, mode: 0o644, sha256: "5a" },
  storage: { keys: [{ key: "inode 1 2", scope: "boot1" }], beneath: [] },
};
