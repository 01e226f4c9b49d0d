import type { ImageFormat } from "../../guest/mod.ts";

/** What a domain's definition names. */
export interface DomainDefinition {
  readonly name: string;
  readonly uuid: string;
  readonly memoryMiB: number;
  readonly machine: string;
  readonly disks: readonly {
    readonly path: string;
    readonly format: ImageFormat;
    /** The disk is this block device, or this volume of pool "default". */
    readonly device?: string;
    readonly volume?: string;
  }[];
  /** Path of a CD image. */
  readonly cdrom?: string;
  /** Name of a libvirt network for a network card. */
  readonly network?: string;
  /** User and group of its QEMU, a static label; libvirt then leaves its images alone. */
  readonly owner?: number;
  /** More elements for `<devices>`. */
  readonly devices?: string;
  /** Runs on /dev/kvm with the host's CPU, and not in QEMU's interpreter. */
  readonly kvm?: boolean;
}

const TCG = {
  type: "qemu",
  cpu: "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>",
};
/** A KVM inside of a virtual machine may not take the feature from QEMU. */
const NOT = "<feature policy='disable' name='arch-capabilities'/>";
const KVM = { type: "kvm", cpu: `<cpu mode='host-passthrough' check='none'>${NOT}</cpu>` };

/** libvirt's definition of a domain whose machine, and CPU unless it is KVM's, every host of the lab has. */
export function domainXml(definition: DomainDefinition): string {
  const { name, uuid, memoryMiB, machine, cdrom, network, owner } = definition;
  const disks = definition.disks.map(({ path, format, device, volume }, index) =>
    `<disk type='${volume ? "volume" : device ? "block" : "file"}' device='disk'>` +
    `<driver name='qemu' type='${format}'/>` +
    (volume
      ? `<source pool='default' volume='${volume}'/>`
      : device
      ? `<source dev='${device}'/>`
      : `<source file='${path}'/>`) +
    `<target dev='vd${letter(index)}' bus='virtio'/>` +
    `<boot order='${index + 1}'/></disk>`
  );
  if (cdrom !== undefined) {
    disks.push(
      `<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='${cdrom}'/>` +
        `<target dev='sda' bus='${machine.includes("q35") ? "sata" : "ide"}'/><readonly/></disk>`,
    );
  }
  const { type, cpu } = definition.kvm ? KVM : TCG;
  return `<domain type='${type}'>
  <name>${name}</name><uuid>${uuid}</uuid>
  <memory unit='MiB'>${memoryMiB}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='${machine}'>hvm</type></os>
  ${owner === undefined ? "" : staticLabel(owner)}
  ${cpu}
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    ${disks.join("\n    ")}
    ${
    network === undefined
      ? ""
      : `<interface type='network'><source network='${network}'/><model type='virtio'/></interface>`
  }
    <controller type='usb' model='none'/><memballoon model='none'/>
    ${definition.devices ?? ""}
  </devices>
</domain>
`;
}

function staticLabel(owner: number): string {
  return `<seclabel type='static' model='dac'><label>+${owner}:+${owner}</label></seclabel>`;
}

function letter(index: number): string {
  return String.fromCharCode("a".charCodeAt(0) + index);
}
