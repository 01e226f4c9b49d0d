/**
 * A domain's XML (https://libvirt.org/formatdomain.html), with the parts that a migration looks at.
 *
 * @module
 */
import { Element, parseElement, scaledBytes, XmlFormatError } from "./xml.ts";

/** An image below a disk's own one. */
export interface BackingImage {
  /** Path of its file or device; `null` for one that has none, such as an image over the network. */
  readonly path: string | null;
  /** As of a disk. */
  readonly type: string;
  /** Such as `qcow2`. */
  readonly format: string;
}

/** A disk, CD-ROM or floppy of a domain. */
export interface DomainDisk {
  /** Name of the disk in the domain, such as `vda`; libvirt takes it for `--migrate-disks`. */
  readonly target: string;
  /** Such as `virtio`. */
  readonly bus: string | null;
  /** `disk`, `cdrom`, `floppy` or `lun`. */
  readonly device: string;
  /** `file`, `block`, `volume`, `network`, `dir`, `nvme`, `vhostuser`, `vhostvdpa` or a later one. */
  readonly type: string;
  /** Path of its file, device or directory; `null` for other types and for an empty drive. */
  readonly path: string | null;
  /** Storage pool and volume of the type `volume`. */
  readonly pool: string | null;
  /** See `pool`. */
  readonly volume: string | null;
  /** Protocol of the type `network`, such as `rbd`. */
  readonly protocol: string | null;
  /** Such as `qcow2`; `raw` where the XML says nothing. */
  readonly format: string;
  /** The guest cannot write it. CD-ROMs always are. */
  readonly readOnly: boolean;
  /** Several domains write it. */
  readonly shareable: boolean;
  /** Writes are lost when the domain ends. */
  readonly transient: boolean;
  /** QEMU encrypts it with a secret. */
  readonly encrypted: boolean;
  /** Its data lies in a second file (`dataStore`, libvirt 10.10). */
  readonly dataFile: string | null;
  /** Whether the domain starts without its medium: `mandatory`, `requisite`, `optional` or `null`. */
  readonly startupPolicy: string | null;
  /** Its backing chain, from the top. */
  readonly backing: readonly BackingImage[];
}

/** A file that QEMU reads when it starts. */
export interface OsFile {
  /** Its element. */
  readonly what: "kernel" | "initrd" | "loader" | "dtb";
  /** Its path. */
  readonly path: string;
}

/** A network card. */
export interface DomainNetwork {
  /** `network`, `bridge`, `direct`, `user`, `vhostuser`, `hostdev` or another type. */
  readonly kind: string;
  /** Name of the network, bridge or device, or the path of the socket; empty where it has none. */
  readonly source: string;
}

/** A domain. */
export interface Domain {
  /** Its name, any text without line breaks. */
  readonly name: string;
  /** Its UUID, in lower case. */
  readonly uuid: string;
  /** `kvm` or `qemu`. */
  readonly virtType: string;
  /** Such as `x86_64`. */
  readonly arch: string;
  /** Such as `pc-q35-7.2`. */
  readonly machine: string;
  /** Path of its QEMU. */
  readonly emulator: string | null;
  /** Its RAM at most. */
  readonly memoryBytes: number;
  /** Its vCPUs at most. */
  readonly vcpus: number;
  /** The element `cpu` as it stands, for `virsh hypervisor-cpu-compare`. */
  readonly cpuXml: string | null;
  /** The mode of its CPU: `custom`, `host-model`, `host-passthrough`, `maximum` or `null`. */
  readonly cpuMode: string | null;
  /** Files that the destination needs to start it. */
  readonly osFiles: readonly OsFile[];
  /** Path of its variables of UEFI. libvirt copies them. */
  readonly nvram: string | null;
  /** The template of `nvram`. */
  readonly nvramTemplate: string | null;
  /** Its disks in the order of the XML. */
  readonly disks: readonly DomainDisk[];
  /** Its network cards. */
  readonly networks: readonly DomainNetwork[];
  /** How many devices of the host it has: `hostdev` elements and network cards of that type. */
  readonly hostdevs: number;
  /** Its own user and group, such as `+1000:+1000`: a static label of the model DAC; `null`: libvirt's. */
  readonly staticOwner: string | null;
  /** The whole document. */
  readonly xml: string;
}

/**
 * Parses `virsh dumpxml`.
 *
 * @throws {XmlFormatError} when it is malformed, or has no name, UUID or machine.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const domain = parseDomain(`<domain type="kvm">
 *   <name>vm1</name>
 *   <uuid>12345678-1234-4234-8234-123456789abc</uuid>
 *   <memory unit="KiB">1048576</memory>
 *   <vcpu>2</vcpu>
 *   <os><type arch="x86_64" machine="pc-q35-7.2">hvm</type></os>
 *   <devices>
 *     <disk type="file" device="disk">
 *       <driver name="qemu" type="qcow2"/>
 *       <source file="/var/lib/libvirt/images/vm1.qcow2"/>
 *       <target dev="vda" bus="virtio"/>
 *     </disk>
 *   </devices>
 * </domain>`);
 * assertEquals(domain.memoryBytes, 1 << 30);
 * assertEquals(domain.disks.map(({ target, path, format }) => ({ target, path, format })), [
 *   { target: "vda", path: "/var/lib/libvirt/images/vm1.qcow2", format: "qcow2" },
 * ]);
 * ```
 */
export function parseDomain(xml: string): Domain {
  const root = parseElement(xml, "domain", "The domain's XML");
  const required = <T>(value: T | null, what: string): T => {
    if (value === null) throw new XmlFormatError(`The domain's XML has no ${what}`);
    return value;
  };
  const type = required(root.find("os", "type"), "os type");
  const memory = root.find("memory");
  const devices = root.find("devices");
  const networks = devices?.all("interface").map(networkOf) ?? [];
  const nvram = root.find("os", "nvram");
  return {
    name: required(root.find("name"), "name").text,
    uuid: required(root.textAt("uuid"), "uuid").toLowerCase(),
    virtType: root.attribute("type") ?? "",
    arch: type.attribute("arch") ?? "",
    machine: required(type.attribute("machine"), "machine"),
    emulator: devices?.textAt("emulator") ?? null,
    memoryBytes: required(
      memory && scaledBytes(memory.text, memory.attribute("unit") ?? "KiB"),
      "memory",
    ),
    vcpus: Number(root.textAt("vcpu") ?? 1),
    cpuXml: root.find("cpu")?.xml ?? null,
    cpuMode: root.find("cpu")?.attribute("mode") ?? null,
    osFiles: (["kernel", "initrd", "loader", "dtb"] as const).flatMap((what) => {
      const path = root.textAt("os", what);
      return path === null ? [] : [{ what, path }];
    }),
    nvram: nvram && (nvram.text.trim() || nvram.find("source")?.attribute("file") || null),
    nvramTemplate: nvram?.attribute("template") ?? null,
    disks: devices?.all("disk").map(diskOf) ?? [],
    networks,
    hostdevs: (devices?.all("hostdev").length ?? 0) +
      networks.filter(({ kind }) => kind === "hostdev").length,
    staticOwner:
      root.all("seclabel").find((label) =>
        label.attribute("model") === "dac" && label.attribute("type") === "static"
      )?.textAt("label") ?? null,
    xml,
  };
}

function diskOf(disk: Element): DomainDisk {
  const source = disk.find("source");
  const device = disk.attribute("device") ?? "disk";
  const type = disk.attribute("type") ?? "file";
  const target = disk.find("target")?.attribute("dev");
  if (!target) throw new XmlFormatError("The domain's XML has a disk without a target");
  return {
    target,
    bus: disk.find("target")?.attribute("bus") ?? null,
    device,
    type,
    path: pathOf(type, source),
    pool: type === "volume" ? source?.attribute("pool") ?? null : null,
    volume: type === "volume" ? source?.attribute("volume") ?? null : null,
    protocol: type === "network" ? source?.attribute("protocol") ?? null : null,
    format: disk.find("driver")?.attribute("type") ?? "raw",
    readOnly: device === "cdrom" || disk.find("readonly") !== null,
    shareable: disk.find("shareable") !== null,
    transient: disk.find("transient") !== null,
    encrypted: disk.find("encryption") !== null || disk.find("source", "encryption") !== null,
    dataFile: dataFileOf(source),
    startupPolicy: source?.attribute("startupPolicy") ?? null,
    backing: backingOf(disk),
  };
}

function backingOf(disk: Element): BackingImage[] {
  const chain: BackingImage[] = [];
  let at = disk.find("backingStore");
  // An empty `backingStore` ends the chain.
  while (at?.attribute("type")) {
    const type = at.attribute("type")!;
    const format = at.find("format")?.attribute("type") ?? "raw";
    chain.push({ path: pathOf(type, at.find("source")), type, format });
    at = at.find("backingStore");
  }
  return chain;
}

function dataFileOf(source: Element | null): string | null {
  const store = source?.find("dataStore") ?? null;
  return store && pathOf(store.attribute("type") ?? "file", store.find("source"));
}

/** Attribute of `source` that has the path, by the disk's type. */
const PATHS: Readonly<Record<string, string>> = { file: "file", block: "dev", dir: "dir" };

function pathOf(type: string, source: Element | null): string | null {
  const attribute = PATHS[type];
  return attribute === undefined ? null : source?.attribute(attribute) || null;
}

/** Attribute of `source` that names what the card is connected to, by its type. */
const SOURCES: Readonly<Record<string, string>> = {
  network: "network",
  bridge: "bridge",
  direct: "dev",
  vdpa: "dev",
  vhostuser: "path",
  internal: "name",
};

function networkOf(card: Element): DomainNetwork {
  const kind = card.attribute("type") ?? "";
  const attribute = SOURCES[kind];
  const source = attribute === undefined ? null : card.find("source")?.attribute(attribute);
  return { kind, source: source ?? "" };
}
