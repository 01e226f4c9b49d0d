/**
 * A host's capabilities (https://libvirt.org/formatcaps.html).
 *
 * @module
 */
import { parseElement } from "./xml.ts";

/** A user and group of the host. */
export interface Owner {
  /** Number of the user. */
  readonly uid: number;
  /** Number of the group. */
  readonly gid: number;
}

/** What `virsh capabilities` says. */
export interface Capabilities {
  /** UUID of the host; libvirt refuses a migration between two equal ones. */
  readonly hostUuid: string | null;
  /** Such as `x86_64`. */
  readonly arch: string | null;
  /** The security models in force, such as `apparmor`, `dac`. */
  readonly securityModels: readonly string[];
  /**
   * User and group of QEMU for a domain of this type (`kvm`, `qemu`). `null` where libvirt does not
   * change them: in session mode QEMU runs as the user of the daemon.
   */
  qemuOwner(virtType: string): Owner | null;
}

/**
 * Parses `virsh capabilities`.
 *
 * @throws {XmlFormatError}
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const capabilities = parseCapabilities(`<capabilities><host>
 *   <uuid>11111111-1111-4111-8111-111111111111</uuid>
 *   <secmodel><model>dac</model><doi>0</doi><baselabel type="kvm">+64055:+108</baselabel></secmodel>
 * </host></capabilities>`);
 * assertEquals(capabilities.qemuOwner("kvm"), { uid: 64055, gid: 108 });
 * ```
 */
export function parseCapabilities(xml: string): Capabilities {
  const root = parseElement(xml, "capabilities", "The host's capabilities");
  const models = root.find("host")?.all("secmodel") ?? [];
  const dac = models.find((model) => model.textAt("model") === "dac");
  const owners = new Map(
    dac?.all("baselabel").map((label) => [label.attribute("type"), ownerOf(label.text)]),
  );
  return {
    hostUuid: root.textAt("host", "uuid"),
    arch: root.textAt("host", "cpu", "arch"),
    securityModels: models.flatMap((model) => model.textAt("model") ?? [])
      .filter((name) => name !== "none"),
    qemuOwner: (virtType) => owners.get(virtType) ?? null,
  };
}

/** A label of the model DAC, `+UID:+GID`; `null` where it has names instead of numbers. */
export function ownerOf(label: string): Owner | null {
  const match = /^\+?(\d+):\+?(\d+)$/.exec(label.trim());
  return match && { uid: Number(match[1]), gid: Number(match[2]) };
}
