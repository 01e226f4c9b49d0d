/**
 * A storage pool's XML (https://libvirt.org/formatstorage.html).
 *
 * @module
 */
import { parseElement, scaledBytes } from "./xml.ts";

/** A storage pool. */
export interface PoolXml {
  /** Its name. */
  readonly name: string;
  /** `dir`, `fs`, `netfs`, `logical`, `disk`, `rbd` or another type. */
  readonly type: string;
  /** Directory of its volumes; `null` for pools without one. */
  readonly path: string | null;
  /** Free bytes, as of its last refresh; `null` where it is not started. */
  readonly availableBytes: number | null;
}

/**
 * Parses `virsh pool-dumpxml`.
 *
 * @throws {XmlFormatError}
 */
export function parsePool(xml: string): PoolXml {
  const root = parseElement(xml, "pool", "The pool's XML");
  const available = root.find("available");
  return {
    name: root.find("name")?.text ?? "",
    type: root.attribute("type") ?? "",
    path: root.textAt("target", "path"),
    availableBytes: available &&
      scaledBytes(available.text, available.attribute("unit") ?? "bytes"),
  };
}
