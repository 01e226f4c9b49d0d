/**
 * The rules by which two machines are compared: what differs, how bad that is, and whether the user may
 * say that it is right. One table for `check`, `migrate`, `--allow` and docs/comparison.md.
 *
 * @module
 */

/**
 * `refuse`: the destination's QEMU would not load the guest, or the guest would not survive it. `warn`:
 * it crosses, and something changes for the guest, or may. `note`: worth knowing.
 */
export type Severity = "refuse" | "warn" | "note";

/** A rule of the comparison. */
export interface Rule {
  readonly severity: Severity;
  /** The rule, and the consequence of a violation. */
  readonly about: string;
}

/** Every rule by its name. */
export const RULES = {
  "accelerator": {
    severity: "refuse",
    about:
      "both QEMUs run the guest with the same accelerator (KVM or TCG): CPU and clock state of " +
      "one is not the other's, and a guest that crosses may never run again",
  },
  "cpu-model": {
    severity: "refuse",
    about: "the destination's vCPUs have every feature that the guest found at the source: code " +
      "that uses a missing one faults",
  },
  "cpu-extra": {
    severity: "note",
    about:
      "the destination's vCPUs have features that the source's have not: the guest finds them " +
      "at its next boot",
  },
  "cpu-identity": {
    severity: "warn",
    about: "vendor, family, model, stepping and physical address bits of the vCPUs are the same",
  },
  "cpu-count": {
    severity: "refuse",
    about: "both machines can have the same number of vCPUs (-smp maxcpus)",
  },
  "ram-block": {
    severity: "refuse",
    about:
      "every RAM block of the source (RAM, DIMMs, virtio-mem, video RAM, ROMs) exists at the " +
      "destination, by the same name and of the same size: QEMU refuses the stream otherwise",
  },
  "machine-property": {
    severity: "refuse",
    about: "switches of -machine that are given at both ends (smm, acpi, ...) are the same",
  },
  "device": {
    severity: "refuse",
    about: "both machines have the same devices at the same addresses",
  },
  "device-property": {
    severity: "refuse",
    about: "the devices have the same properties, as far as the guest or the stream can see them",
  },
  "device-feature": {
    severity: "warn",
    about: "a virtio feature that only the destination offers: the guest finds it at its next boot",
  },
  "device-identity": {
    severity: "warn",
    about: "MAC address, serial number, WWN and their like are the same: the guest finds the " +
      "destination's at its next boot",
  },
  "nic-queues": {
    severity: "refuse",
    about: "each NIC has the same number of queue pairs, which its netdev decides",
  },
  "tpm": { severity: "refuse", about: "both machines have the same TPM" },
  "medium": {
    severity: "warn",
    about: "a drive that is not copied (a CD) holds a medium of the same size at both ends",
  },
  "outside-data": {
    severity: "refuse",
    about: "no device keeps data outside QEMU's block layer (vhost-user-blk, vhost-user-scsi, " +
      "vhost-scsi, vhost-vdpa, virtio-pmem, vfio, vfio-user): it stays behind. Allowed, it is your " +
      "word that the destination's device has the same data",
  },
  "host-device": {
    severity: "warn",
    about: "a device of the host (usb-host) is unplugged from the guest by the migration",
  },
  "known-pair": {
    severity: "warn",
    about: "machines and versions that are known not to cross (docs/qemu.md)",
  },
  "older-qemu": {
    severity: "note",
    about:
      "the destination's QEMU is older than the source's: QEMU promises the other direction only",
  },
} as const satisfies Record<string, Rule>;

/** The name of a rule, as `--allow` takes it. */
export type RuleName = keyof typeof RULES;

/** Names of the rules whose refusal the user may override. */
export const ALLOWABLE: readonly RuleName[] = (Object.keys(RULES) as RuleName[])
  .filter((name) => RULES[name].severity === "refuse");

/** One way in which the destination's machine is not the source's. */
export interface Difference {
  /** The rule that it breaks. */
  readonly rule: RuleName;
  /** What differs, where, and with which values, in QEMU's terms. */
  readonly message: string;
}

/** Differences by severity, after --allow. */
export interface Judgement {
  readonly refused: readonly Difference[];
  readonly warned: readonly Difference[];
  readonly noted: readonly Difference[];
}

/**
 * Sorts differences by severity; an allowed refusal becomes a warning.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { judge } from "./rules.ts";
 *
 * const tpm = { rule: "tpm", message: "TPM at the source: tpm-tis; at the destination: none" } as const;
 * assertEquals(judge([tpm], []).refused, [tpm]);
 * assertEquals(judge([tpm], ["tpm"]).warned, [tpm]);
 * ```
 */
export function judge(
  differences: readonly Difference[],
  allowed: readonly RuleName[],
): Judgement {
  const of = (severity: Severity) =>
    differences.filter(({ rule }) => {
      const given = RULES[rule].severity;
      return severity === (given === "refuse" && allowed.includes(rule) ? "warn" : given);
    });
  return { refused: of("refuse"), warned: of("warn"), noted: of("note") };
}
