import {
  listDisks,
  parseNicQueues,
  parseQtree,
  parseRamBlocks,
  type QmpClient,
  QmpCommandError,
} from "../../qmp/mod.ts";
import type { Inventory, MachineDescription } from "../../rpc/mod.ts";
import { isMirrored } from "../plan.ts";
import { versionOf } from "../run_states.ts";
import { listDevices } from "./device_list.ts";

/** Types of machine properties that are taken: on, off, or left to QEMU. */
const SWITCHES: readonly string[] = ["bool", "OnOffAuto", "OnOffSplit"];
/** Properties of a CPU that say which model of which maker it is (x86). */
const IDENTITY: readonly string[] = ["vendor", "family", "model", "stepping", "phys-bits"];

/**
 * Asks QEMU what machine it is. Takes some milliseconds of QEMU's main loop: three HMP commands give
 * the device tree, the RAM blocks and the queues of the NICs, QMP the rest.
 *
 * @throws {QmpError} when QEMU does not answer.
 */
export async function takeInventory(qmp: QmpClient): Promise<Inventory> {
  const [tree, machine] = await Promise.all([hmp(qmp, "info qtree"), describe(qmp)]);
  return { machine, devices: listDevices(parseQtree(tree)) };
}

async function describe(qmp: QmpClient): Promise<MachineDescription> {
  const [blocks, network, type, cpus, kvm, properties, tpms, disks] = await Promise.all([
    hmp(qmp, "info ramblock"),
    hmp(qmp, "info network"),
    qmp.execute("qom-get", { path: "/machine", property: "type" }),
    qmp.execute("query-cpus-fast", {}),
    optional(qmp.execute("query-kvm", {})),
    machineSwitches(qmp),
    optional(qmp.execute("query-tpm", {})),
    listDisks(qmp),
  ]);
  const first = cpus[0] as { "qom-path"?: string; target?: string } | undefined;
  return {
    version: versionOf(qmp),
    type: String(type).replace(/-machine$/, ""),
    properties,
    target: first?.target ?? "",
    accelerator: kvm?.enabled ? "kvm" : "tcg",
    cpu: {
      ...await describeCpu(qmp, first?.["qom-path"]),
      present: cpus.length,
      possible: await possibleCpus(qmp),
    },
    ramBlocks: parseRamBlocks(blocks),
    nicQueues: parseNicQueues(network),
    tpms: (tpms ?? []).map(({ model }) => model),
    media: disks.filter((disk) => !isMirrored(disk))
      .map(({ name, empty, sizeBytes }) => ({ name, sizeBytes: empty ? null : sizeBytes })),
  };
}

type CpuDescription = MachineDescription["cpu"];

async function describeCpu(
  qmp: QmpClient,
  path: string | undefined,
): Promise<Pick<CpuDescription, "type" | "words" | "switches" | "identity">> {
  if (path === undefined) return { type: "", words: {}, switches: {}, identity: {} };
  const get = (property: string) => optional(qmp.execute("qom-get", { path, property }));
  const [type, words, ...identity] = await Promise.all(
    ["type", "feature-words", ...IDENTITY].map(get),
  );
  const known = IDENTITY.map((name, i) => [name, identity[i]] as const)
    .filter(([, value]) => value !== undefined).map(([name, value]) =>
      [name, String(value)] as const
    );
  return {
    type: String(type ?? ""),
    words: cpuidWords(words),
    switches: await cpuSwitches(qmp, path),
    identity: Object.fromEntries(known),
  };
}

/** Properties of a vCPU that are in no CPUID word, and that a guest or its state may need. */
const BESIDE_CPUID = /^(hv-|vmx-|pmu$|kvm$)/;

async function cpuSwitches(qmp: QmpClient, path: string): Promise<Record<string, string>> {
  const names = (await qmp.execute("qom-list", { path }))
    .filter(({ name, type }) => type === "bool" && BESIDE_CPUID.test(name)).map(({ name }) => name);
  const values = await Promise.all(
    names.map((property) => optional(qmp.execute("qom-get", { path, property }))),
  );
  return Object.fromEntries(names.map((name, i) => [name, String(values[i])]));
}

/** `X86CPUFeatureWordInfo` of QEMU's qapi/machine-target.json, as `7.0.EBX`. */
interface FeatureWord {
  readonly "cpuid-input-eax": number;
  readonly "cpuid-input-ecx"?: number;
  readonly "cpuid-register": string;
  readonly features: number;
}

function cpuidWords(words: unknown): Record<string, number> {
  if (!Array.isArray(words)) return {};
  return Object.fromEntries((words as FeatureWord[]).map((word) => {
    const leaf = word["cpuid-input-eax"].toString(16).toUpperCase();
    const index = word["cpuid-input-ecx"];
    const name = index === undefined ? leaf : `${leaf}.${index}`;
    return [`${name}.${word["cpuid-register"]}`, word.features >>> 0];
  }));
}

/** 0 on a machine whose CPUs QEMU does not list. */
async function possibleCpus(qmp: QmpClient): Promise<number> {
  const slots = await optional(qmp.execute("query-hotpluggable-cpus", {}));
  return slots?.reduce((sum, slot) => sum + slot["vcpus-count"], 0) ?? 0;
}

async function machineSwitches(qmp: QmpClient): Promise<Record<string, string>> {
  const path = "/machine";
  const names = (await qmp.execute("qom-list", { path }))
    .filter(({ type }) => SWITCHES.includes(type)).map(({ name }) => name);
  const values = await Promise.all(
    names.map((property) => optional(qmp.execute("qom-get", { path, property }))),
  );
  return Object.fromEntries(names.map((name, i) => [name, switchOf(values[i])]));
}

function switchOf(value: unknown): string {
  if (value === true) return "on";
  return value === false ? "off" : String(value ?? "");
}

/** Properties of a vCPU that are on or off and no features of the CPU. */
const NO_FEATURES: readonly string[] = [
  ...["realized", "hotplugged", "hotpluggable", "check", "enforce", "migratable", "kvm", "pmu"],
  ...["host-phys-bits", "host-cache-info", "full-cpuid-auto-level", "legacy-cache", "l3-cache"],
  ...[
    "fill-mtrr-mask",
    "kvm-no-smi-migration",
    "start-powered-off",
    "tcg-cpuid",
    "crash-information",
  ],
  ...[
    "vmware-cpuid-freq",
    "cpuid-0xb",
    "memory",
    "xen-vapic",
    "legacy-multi-node",
    "ht",
    "cmp-legacy",
  ],
];

/**
 * Names of the features that the first vCPU has (x86). One QMP command for each of some 400 properties:
 * 0.2 s.
 */
export async function cpuFeatures(qmp: QmpClient): Promise<string[]> {
  const cpus = await qmp.execute("query-cpus-fast", {});
  const path = (cpus[0] as { "qom-path"?: string } | undefined)?.["qom-path"];
  if (path === undefined) return [];
  const names = (await qmp.execute("qom-list", { path }))
    .filter(({ name, type }) => type === "bool" && !name.startsWith("x-"))
    .map(({ name }) => name).filter((name) => !NO_FEATURES.includes(name));
  const values = await Promise.all(
    names.map((property) => optional(qmp.execute("qom-get", { path, property }))),
  );
  // Most have two spellings, such as avx512-vnni and avx512_vnni.
  const on = names.filter((_, i) => values[i] === true).map((name) => name.replaceAll("_", "-"));
  return [...new Set(on)].sort();
}

async function hmp(qmp: QmpClient, line: string): Promise<string> {
  return await qmp.execute("human-monitor-command", { "command-line": line });
}

/** What a QEMU of this version, machine or architecture has not is `undefined`. */
async function optional<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof QmpCommandError) return undefined;
    throw error;
  }
}
