/**
 * Which disks libvirt copies. Pure.
 *
 * @module
 */
import type { DomainDisk } from "../../libvirt/mod.ts";
import { Collected, type Findings } from "./findings.ts";
import { closest } from "./source_rules.ts";

/** What the user said of the disks, by target. */
export interface DiskWishes {
  readonly reuse: readonly string[];
  readonly shared: readonly string[];
  /** `--migrate-disks` of `virsh migrate`; `null` where it is not given. */
  readonly migrateDisks: readonly string[] | null;
}

/** The disks of a domain by what happens to them. */
export interface DiskRoles {
  /** libvirt copies them. */
  readonly copied: readonly DomainDisk[];
  /** The guest may write to them, and they are not copied: both hosts must have them. */
  readonly shared: readonly DomainDisk[];
  /** Media and read-only disks, which must be at the destination with the same content. */
  readonly readOnly: readonly DomainDisk[];
}

/** Types whose storage belongs to the host, so that it can be copied. */
const LOCAL: readonly string[] = ["file", "block", "volume"];

/** Divides the disks of a domain, and judges the targets that the user gave. */
export function chooseDisks(
  disks: readonly DomainDisk[],
  wishes: DiskWishes,
): DiskRoles & { readonly findings: Findings } {
  const findings = new Collected();
  judgeTargets(disks, wishes, findings);
  const { shared, reuse, migrateDisks } = wishes;
  const roles = {
    copied: [] as DomainDisk[],
    shared: [] as DomainDisk[],
    readOnly: [] as DomainDisk[],
  };
  for (const disk of disks.filter(hasSource)) {
    const { target } = disk;
    const isNamed = migrateDisks?.includes(target) ?? false;
    if (shared.includes(target)) {
      if (!isMedium(disk)) roles.shared.push(disk);
      if (isNamed) {
        const message =
          `disk ${target} is in both --shared and --migrate-disks, expected one of them`;
        findings.problem("source", "option-refused", message);
      }
    } else if (isMedium(disk)) {
      roles.readOnly.push(disk);
      if (isNamed) findings.problem("source", "option-refused", notWritable(disk));
    } else if (migrateDisks === null ? disk.shareable : !isNamed) {
      roles.shared.push(disk);
      const why = disk.shareable ? "is shareable" : "is not in --migrate-disks";
      findings.notes.push(
        `disk ${target} ${why} and is not copied: both hosts must have its storage`,
      );
    } else {
      roles.copied.push(disk);
    }
  }
  for (const disk of roles.copied.filter(({ type }) => !LOCAL.includes(type))) {
    findings.problem("source", ...cannotCopy(disk));
  }
  for (const target of reuse) {
    if (disks.every((disk) => disk.target !== target)) continue;
    if (roles.copied.some((disk) => disk.target === target)) continue;
    findings.warnings.push(`--reuse ${target} has no effect: the disk is not copied`);
  }
  return { ...roles, findings };
}

/** Not copied by libvirt: it is read-only, or the drive of a removable medium. */
export function isMedium({ device, readOnly }: DomainDisk): boolean {
  return readOnly || device === "cdrom" || device === "floppy";
}

function hasSource(disk: DomainDisk): boolean {
  return disk.path !== null || disk.volume !== null || !LOCAL.includes(disk.type);
}

function judgeTargets(disks: readonly DomainDisk[], wishes: DiskWishes, found: Collected): void {
  const known = disks.map(({ target }) => target);
  const options = [
    ["--reuse", wishes.reuse],
    ["--shared", wishes.shared],
    ["--migrate-disks", wishes.migrateDisks ?? []],
  ] as const;
  for (const [option, targets] of options) {
    for (const target of targets.filter((t) => !known.includes(t))) {
      const near = closest(target, known);
      const hint = near === undefined ? "" : ` Did you mean ${near}?`;
      const message = `${option} ${target}: the domain has no disk ${target}.${hint} Its disks: ` +
        (known.join(", ") || "none");
      found.problem("source", "option-refused", message);
    }
  }
}

function notWritable({ target }: DomainDisk): string {
  return `--migrate-disks ${target}: the disk is a medium or read-only, and libvirt copies neither. Leave it ` +
    "out and put a copy of its file at the destination";
}

function cannotCopy(
  { target, type, protocol }: DomainDisk,
): ["shared-storage" | "domain-not-movable", string] {
  if (type === "network") {
    return [
      "shared-storage",
      `disk ${target} is network storage${
        protocol === null ? "" : ` (${protocol})`
      }, which is the same from both hosts: a copy would overwrite the disk ` +
      `that the guest runs from. Add --shared ${target}`,
    ];
  }
  return [
    "domain-not-movable",
    `disk ${target} is of the type "${type}", expected file, block or volume: libvirt cannot copy it. If ` +
    `both hosts share its storage, add --shared ${target}; else detach it`,
  ];
}
