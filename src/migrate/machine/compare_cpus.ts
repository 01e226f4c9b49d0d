import type { MachineDescription } from "../../rpc/mod.ts";
import type { Difference } from "./rules.ts";

type Cpu = MachineDescription["cpu"];

/** Names of the CPU features of both sides. */
export interface FeatureNames {
  readonly source: readonly string[];
  readonly destination: readonly string[];
}

/** Most names in a message. */
const MOST = 12;

/** Whether the CPUID words differ, so that a message needs the names of the features. Pure. */
export function wordsDiffer(source: Cpu, destination: Cpu): boolean {
  return missingBits(source, destination).length + missingBits(destination, source).length > 0;
}

/**
 * The differences between the vCPUs of both sides. Pure.
 *
 * @param names of the features; without them a message has the CPUID bits.
 */
export function compareCpus(
  source: Cpu,
  destination: Cpu,
  names: FeatureNames | undefined,
): Difference[] {
  const differences: Difference[] = [];
  const isKnown = source.possible > 0 && destination.possible > 0;
  // The destination compares the number of present vCPUs when it prepares.
  const samePresent = source.present === destination.present;
  if (isKnown && samePresent && source.possible !== destination.possible) {
    const message =
      `maxcpus is ${source.possible} at the source and ${destination.possible} at the ` +
      "destination";
    differences.push({ rule: "cpu-count", message });
  }
  const types = `CPU ${modelOf(source)} at the source, ${modelOf(destination)} at the destination`;
  const missing = missingBits(source, destination);
  if (missing.length > 0) {
    const lacks = listed(named(missing, names?.source, names?.destination));
    differences.push({ rule: "cpu-model", message: `${types}: the destination lacks ${lacks}` });
  }
  const more = missingBits(destination, source);
  if (more.length > 0) {
    const has = listed(named(more, names?.destination, names?.source));
    differences.push({ rule: "cpu-extra", message: `${types}: the source lacks ${has}` });
  }
  differences.push(...compareSwitches(source, destination, types));
  // Without features from QEMU, the name of the model is all there is to compare.
  const isBlind = Object.keys(source.words).length === 0;
  if (isBlind && source.type !== destination.type) {
    differences.push({ rule: "cpu-model", message: types });
  }
  const other = Object.entries(source.identity).filter(([name, value]) =>
    destination.identity[name] !== undefined && destination.identity[name] !== value
  ).map(([name]) => name);
  if (other.length > 0) {
    const words = (of: Cpu) => other.map((name) => `${name} ${of.identity[name]}`).join(", ");
    const message =
      `the vCPUs have ${words(source)} at the source and ${words(destination)} at the ` +
      "destination";
    differences.push({ rule: "cpu-identity", message });
  }
  return differences;
}

function compareSwitches(source: Cpu, destination: Cpu, types: string): Difference[] {
  const [a, b] = [source.switches ?? {}, destination.switches ?? {}];
  const onlyIn = (has: Record<string, string>, lacks: Record<string, string>) =>
    Object.keys(has).filter((name) => has[name] === "true" && lacks[name] === "false");
  const [missing, more] = [onlyIn(a, b), onlyIn(b, a)];
  return [
    ...missing.length === 0 ? [] : [
      {
        rule: "cpu-model",
        message: `${types}: the destination lacks ${listed(missing)}`,
      } as const,
    ],
    ...more.length === 0 ? [] : [
      {
        rule: "cpu-extra",
        message: `${types}: the source lacks ${listed(more)}`,
      } as const,
    ],
  ];
}

/**
 * Bits that QEMU derives from the number of cores and threads (ht, cmp-legacy). QEMU lists them among the
 * features of the CPU since 10.0.
 */
const OF_TOPOLOGY: Readonly<Record<string, number>> = { "1.EDX": 1 << 28, "80000001.ECX": 1 << 1 };

/** Bits that `a` has and `b` lacks, such as `CPUID 7.0.EBX bit 5`. */
function missingBits({ words: a }: Cpu, { words: b }: Cpu): string[] {
  return Object.entries(a).flatMap(([word, bits]) => {
    const missing = (bits & ~(b[word] ?? 0) & ~(OF_TOPOLOGY[word] ?? 0)) >>> 0;
    return Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (missing >>> bit) & 1)
      .map((bit) => `CPUID ${word} bit ${bit}`);
  });
}

/** The names of the features; the raw bits if QEMU names none of them. */
function named(
  bits: readonly string[],
  has: readonly string[] = [],
  lacks: readonly string[] = [],
): readonly string[] {
  const names = has.filter((name) => !lacks.includes(name));
  return names.length > 0 ? names : bits;
}

function listed(names: readonly string[]): string {
  if (names.length <= MOST) return names.join(", ");
  return `${names.slice(0, MOST).join(", ")} and ${names.length - MOST} more`;
}

/** `qemu64-x86_64-cpu` is `-cpu qemu64`. */
function modelOf({ type }: Cpu): string {
  return type.replace(/-(x86_64|i386|arm|aarch64|s390x|riscv\w*|powerpc\w*)-cpu$/, "") || "unknown";
}
