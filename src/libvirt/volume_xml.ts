/**
 * XML of a volume to create (https://libvirt.org/formatstorage.html#storage-volume-xml).
 *
 * @module
 */
import type { Owner } from "./capabilities.ts";
import { escapeXml } from "./xml.ts";

/** A volume for `virsh vol-create`. */
export interface NewVolume {
  /** Its file name in the pool. */
  readonly name: string;
  /** Virtual size, bytes. */
  readonly capacity: number;
  /** Such as `qcow2`. */
  readonly format: string;
  /** Version of qcow2: `0.10`, `1.1`; by default `1.1`, while libvirt's own default is `0.10`. */
  readonly compat?: string | null;
  /** Bytes of a cluster of qcow2 (libvirt 7.4); `null`: QEMU's default. */
  readonly clusterBytes?: number | null;
  /** qcow2 with subclusters (libvirt 8.0). */
  readonly extendedL2?: boolean;
  /** qcow2 that writes its reference counts late. */
  readonly lazyRefcounts?: boolean;
  /** Its owner, with mode 0600; `null`: owner and mode are the pool's defaults. */
  readonly owner?: Owner | null;
  /** The image below. */
  readonly backing?: { readonly path: string; readonly format: string } | null;
}

/**
 * The volume's XML. It is sparse (allocation 0).
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 *
 * const xml = volumeXml({ name: "vm1.qcow2", capacity: 1 << 30, format: "qcow2", compat: "1.1" });
 * assertStringIncludes(xml, '<capacity unit="bytes">1073741824</capacity>');
 * ```
 */
export function volumeXml(volume: NewVolume): string {
  const { name, capacity, format, clusterBytes, extendedL2, lazyRefcounts, backing } = volume;
  const compat = volume.compat ?? (format === "qcow2" ? "1.1" : null);
  const { owner } = volume;
  const permissions = owner &&
    `<mode>0600</mode><owner>${owner.uid}</owner><group>${owner.gid}</group>`;
  const features = [
    ...(lazyRefcounts ? ["<lazy_refcounts/>"] : []),
    ...(extendedL2 ? ["<extended_l2/>"] : []),
  ];
  return [
    "<volume>",
    `  <name>${escapeXml(name)}</name>`,
    `  <capacity unit="bytes">${capacity}</capacity>`,
    `  <allocation unit="bytes">0</allocation>`,
    "  <target>",
    `    <format type="${escapeXml(format)}"/>`,
    ...(permissions ? [`    <permissions>${permissions}</permissions>`] : []),
    ...(compat ? [`    <compat>${escapeXml(compat)}</compat>`] : []),
    ...(clusterBytes ? [`    <clusterSize unit="B">${clusterBytes}</clusterSize>`] : []),
    ...(features.length > 0 ? [`    <features>${features.join("")}</features>`] : []),
    "  </target>",
    ...(backing
      ? [
        "  <backingStore>",
        `    <path>${escapeXml(backing.path)}</path>`,
        `    <format type="${escapeXml(backing.format)}"/>`,
        "  </backingStore>",
      ]
      : []),
    "</volume>",
    "",
  ].join("\n");
}
