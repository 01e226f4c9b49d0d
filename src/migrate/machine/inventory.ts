import {
  hmp,
  listDisks,
  optional,
  parseNicQueues,
  parseQtree,
  parseRamBlocks,
  type QmpClient,
} from "../../qmp/mod.ts";
import type { Inventory, MachineDescription } from "../../rpc/mod.ts";
import { isMirrored } from "../disks/plan.ts";
import { versionOf } from "../guest/run_states.ts";
import { listDevices } from "./device_list.ts";

/** Types of the machine properties to compare: on, off or auto. */
const SWITCHES: readonly string[] = ["bool", "OnOffAuto", "OnOffSplit"];
/** Properties that identify the model and vendor of a CPU (x86). */
const IDENTITY: readonly string[] = ["vendor", "family", "model", "stepping", "phys-bits"];

/**
 * Takes the inventory of a QEMU's machine: sizes in bytes, device addresses as QEMU names them. Three HMP
 * commands give the device tree (`info qtree`), the RAM blocks (`info ramblock`) and the NICs' queues
 * (`info network`), QMP the rest. Costs a few milliseconds of QEMU's main loop.
 *
 * @throws {QmpError} when QEMU does not answer.
 * @throws {QmpCommandError} when QEMU lacks a command that the inventory needs (`query-cpus-fast`, 2.12).
 */
export async function takeInventory(qmp: QmpClient): Promise<Inventory> {
  const [tree, machine] = await Promise.all([hmp(qmp, "info qtree"), describe(qmp)]);
  return { machine, devices: listDevices(parseQtree(tree)) };
}

async function describe(qmp: QmpClient): Promise<MachineDescription> {
  const [blocks, network, type, cpus, kvm, properties, objects, tpms, disks] = await Promise.all([
    hmp(qmp, "info ramblock"),
    hmp(qmp, "info network"),
    qmp.execute("qom-get", { path: "/machine", property: "type" }),
    qmp.execute("query-cpus-fast", {}),
    optional(qmp.execute("query-kvm", {})),
    machineSwitches(qmp),
    addedObjects(qmp),
    optional(qmp.execute("query-tpm", {})),
    listDisks(qmp),
  ]);
  const first = cpus[0] as { "qom-path"?: string; target?: string } | undefined;
  return {
    version: versionOf(qmp),
    type: String(type).replace(/-machine$/, ""),
    properties: { ...properties, ...await memorySlots(qmp), ...await usbPorts(qmp, objects) },
    objects: objects.map(({ id, type }) => ({ id, type })),
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

/** Properties of a vCPU that no CPUID word shows, and that a guest or its state may need. */
const BESIDE_CPUID = /^(hv-|vmx-|pmu$|kvm$)/;

async function cpuSwitches(qmp: QmpClient, path: string): Promise<Record<string, string>> {
  const names = (await qmp.execute("qom-list", { path }))
    .filter(({ name, type }) => type === "bool" && BESIDE_CPUID.test(name)).map(({ name }) => name);
  const values = await Promise.all(
    names.map((property) => optional(qmp.execute("qom-get", { path, property }))),
  );
  return Object.fromEntries(names.map((name, i) => [name, String(values[i])]));
}

/** `X86CPUFeatureWordInfo` of QEMU's qapi/machine-target.json. */
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

/** Number of possible vCPUs; 0 on a machine whose vCPUs QEMU does not list. */
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

/** How much RAM can be plugged (-m slots, maxmem), which is part of RAM's hotplug controller's state. */
async function memorySlots(qmp: QmpClient): Promise<Record<string, string>> {
  // Since QEMU 7.1; with an older one a difference appears only when the destination loads the state.
  const memory = await optional(qmp.execute("qom-get", { path: "/machine", property: "memory" }));
  const { slots, "max-size": max } = (memory ?? {}) as { slots?: number; "max-size"?: number };
  return {
    ...(slots === undefined ? {} : { "memory.slots": String(slots) }),
    ...(max === undefined ? {} : { "memory.max-size": String(max) }),
  };
}

interface AddedObject {
  readonly path: string;
  /** Empty without one. */
  readonly id: string;
  readonly type: string;
}

/** Devices of the user's, on a bus or not. */
async function addedObjects(qmp: QmpClient): Promise<AddedObject[]> {
  const lists = await Promise.all(["peripheral", "peripheral-anon"].map(async (name) => {
    const path = `/machine/${name}`;
    const members = await optional(qmp.execute("qom-list", { path })) ?? [];
    return members.flatMap((member) => {
      const type = /^child<(.+)>$/.exec(member.type)?.[1];
      const id = name === "peripheral" ? member.name : "";
      return type === undefined ? [] : [{ path: `${path}/${member.name}`, id, type }];
    });
  }));
  return lists.flat();
}

/** Ports of USB 3 controllers: their state depends on them, and `info qtree` does not show them. */
async function usbPorts(
  qmp: QmpClient,
  objects: readonly AddedObject[],
): Promise<Record<string, string>> {
  const ports: Record<string, string> = {};
  for (const [i, { path, id, type }] of objects.filter((o) => /xhci/.test(o.type)).entries()) {
    for (const property of ["p2", "p3"]) {
      const value = await optional(qmp.execute("qom-get", { path, property }));
      if (value !== undefined) ports[`${type} ${id || i}.${property}`] = String(value);
    }
  }
  return ports;
}

function switchOf(value: unknown): string {
  if (value === true) return "on";
  return value === false ? "off" : String(value ?? "");
}

/** Boolean properties of a vCPU that are no features of the CPU. */
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
 * Names of the features of the first vCPU (x86), sorted. Takes about 400 QMP commands, 0.2 s.
 *
 * @throws {QmpError} when QEMU does not answer.
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
  const on = names.filter((_, i) => values[i] === true).map((name) =>
    name.replaceAll(/[_.]/g, "-")
  );
  return [...new Set(on)].sort();
}
