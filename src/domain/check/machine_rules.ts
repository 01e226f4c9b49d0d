/**
 * Rules on the machine and CPU that the destination must offer. Pure.
 *
 * @module
 */
import { Collected, type Findings } from "./findings.ts";
import { closest } from "./source_rules.ts";
import { quoted } from "./words.ts";

/** The domain's machine, and libvirt's refusals of it at the destination; `null`: libvirt accepts. */
export interface MachineFacts {
  /** Path of the domain's QEMU; `null`: the destination's default. */
  readonly emulator: string | null;
  readonly arch: string;
  readonly machine: string;
  /** `kvm` or `qemu`. */
  readonly virtType: string;
  /** Refusal of all of it together. The others are asked for only if there is one. */
  readonly refusal: string | null;
  /** Refusal of the emulator alone. */
  readonly emulatorRefusal: string | null;
  /** Refusal of emulator and type. */
  readonly typeRefusal: string | null;
  /** Machine types that the destination has for this architecture. */
  readonly machines: readonly string[];
}

/** Most machine types in a message. */
const MOST = 6;

/** Judges whether the destination's libvirt has the emulator, the type of domain and the machine. */
export function judgeMachine(facts: MachineFacts): Findings {
  const found = new Collected();
  const { emulator, arch, machine, virtType, refusal } = facts;
  if (refusal === null) return found;
  const problem = (message: string) => found.problem("destination", "machine-unsupported", message);
  const qemu = emulator ?? `the QEMU for ${arch}`;
  if (facts.emulatorRefusal !== null) {
    problem(
      `libvirt cannot use ${qemu}, the domain's emulator: ${
        quoted(facts.emulatorRefusal)
      }. Install it ` +
        "there, or name the destination's emulator with -- --xml FILE",
    );
  } else if (facts.typeRefusal !== null) {
    const advice = virtType === "kvm"
      ? "Enable KVM there: the processor's virtualization in the firmware, and /dev/kvm"
      : "Expected a host that can run it";
    problem(
      `${qemu} runs no domains of the type "${virtType}": ${quoted(facts.typeRefusal)}. ${advice}`,
    );
  } else {
    const near = nearest(machine, facts.machines);
    const others = near.length === 0 ? "" : ` It has ${near.join(", ")}.`;
    problem(
      `${qemu} has no machine type ${machine}, which the domain has: ${
        quoted(refusal)
      }.${others} Install a ` +
        "QEMU there that is not older than the source's",
    );
  }
  return found;
}

/** Machine types like this one, the newest first; a family such as `pc-q35` has one for each version. */
export function nearest(machine: string, machines: readonly string[]): string[] {
  const familyOf = (name: string) => name.replace(/-?\d[\d.]*$/, "");
  const family = machines.filter((name) => familyOf(name) === familyOf(machine))
    .toSorted((a, b) => b.localeCompare(a, "en", { numeric: true }));
  if (family.length > 0) return family.slice(0, MOST);
  const near = closest(machine, machines);
  return near === undefined ? [] : [near];
}

/** The result of `virsh hypervisor-cpu-compare` at the destination. */
export type CpuComparison =
  /** The domain has QEMU's default CPU, which every host has. */
  | { readonly result: "none" }
  | { readonly result: "compatible" }
  /** `text`: libvirt's reasons. */
  | { readonly result: "incompatible"; readonly text: string }
  /** libvirt cannot compare CPUs there; `text` has its reason. */
  | { readonly result: "unknown"; readonly text: string };

/** The domain's CPU, and how it compares. */
export interface CpuFacts {
  /** As in the domain's XML; `host-passthrough` was compared by the source's host CPU. */
  readonly mode: string | null;
  readonly comparison: CpuComparison;
  /** `--unsafe` of `virsh migrate`. */
  readonly unsafe: boolean;
}

/** Judges whether the destination offers the domain's CPU. */
export function judgeCpu({ mode, comparison, unsafe }: CpuFacts): Findings {
  const found = new Collected();
  const isHosts = mode !== "custom";
  const what = isHosts ? `the domain's CPU is the source host's (${mode})` : "the domain's CPU";
  if (comparison.result === "unknown") {
    found.warnings.push(
      `the CPUs of both hosts were not compared: ${quoted(comparison.text)}. Make sure that the ` +
        "destination's CPU has all features of the guest's",
    );
  } else if (comparison.result === "incompatible") {
    const lacks = isHosts
      ? `${what}, and the destination cannot offer it`
      : `the destination cannot offer ${what}`;
    const message = `${lacks}: ${quoted(comparison.text)}`;
    if (unsafe) found.warnings.push(`${message}. The guest may crash there (--unsafe)`);
    else {
      found.problem(
        "destination",
        "cpu-incompatible",
        `${message}. Give the domain a CPU model that both hosts have ('virsh hypervisor-cpu-baseline') and ` +
          "start it again; -- --unsafe migrates all the same, and the guest may crash",
      );
    }
  } else if (comparison.result === "compatible" && isHosts) {
    found.warnings.push(
      `${what}. libvirt compares only the features that it knows: the guest may crash at the destination if the ` +
        "processors differ",
    );
  }
  return found;
}
