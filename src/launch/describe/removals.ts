/**
 * Options of the command line whose devices or drives are gone, and addresses of the rest: QEMU gives
 * free ones to devices without, which would move up. Pure.
 *
 * @module
 */
import { fieldOf, parseOption } from "../command/mod.ts";
import { reachedFrom } from "./block_chain.ts";
import type { Edits } from "./edits.ts";
import type { Given, GivenOptions } from "./given.ts";
import type { MachineState } from "./machine_state.ts";

/** What was removed. */
export interface Removals {
  readonly removed: readonly string[];
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Finds what is gone, and edits the options. */
export function removalsOf(state: MachineState, given: GivenOptions, edits: Edits): Removals {
  const removed: string[] = [];
  const problems: string[] = [];
  const warnings: string[] = [];
  const present = new Set(state.devices.filter((d) => !d.hotplugged).map(({ id }) => id));
  const gone: Given[] = [];
  for (const [id, device] of given.devices) {
    // The primary device of a failover pair is there only while the guest does without its standby.
    if (present.has(id) || fieldOf(device.value, "failover_pair_id") !== undefined) continue;
    gone.push(device);
    removed.push(id);
    edits.drop(device.index);
  }
  const rest = given.all.flatMap(({ value, index }): Given[] => {
    const option = value.option.name === "device" ? edits.optionAt(index) : null;
    return option === null ? [] : [{ index, value: parseOption(option) }];
  });
  for (const device of gone) {
    const netdev = fieldOf(device.value, "netdev");
    const backend = netdev === undefined ? undefined : given.netdevs.get(netdev);
    const isUsed = rest.some(({ value }) => fieldOf(value, "netdev") === netdev) ||
      state.added.some(({ properties }) =>
        properties.some(({ name, value }) => name === "netdev" && value === netdev)
      );
    if (!backend || isUsed || backend.value.option.name !== "netdev") continue;
    // A user netdev has a section in the stream, and those are numbered: a spare one does no harm.
    if (fieldOf(backend.value, "type") === "user") continue;
    removed.push(netdev!);
    edits.drop(backend.index);
  }
  problems.push(...withoutId(state, rest));
  problems.push(...unusedDrives(state, given, edits, rest, removed, warnings));
  if (gone.length > 0) pin(state, given, edits);
  const { initial, present: vcpus } = state.vcpus;
  const plugged = state.added.filter(({ topology }) => topology !== null).length;
  if (vcpus !== initial + plugged) {
    problems.push(
      `${
        initial + plugged - vcpus
      } of the ${initial} vCPUs of -smp were removed while the guest ran, ` +
        "and QEMU cannot start without them: add them again",
    );
  }
  return { removed, problems, warnings };
}

/** Devices without an id are numbered, so that a missing one leaves a gap. */
function withoutId({ devices }: MachineState, rest: readonly Given[]): string[] {
  const numbers = devices.filter(({ id, hotplugged }) => id === "" && !hotplugged)
    .map(({ path }) => Number(/\[(\d+)\]$/.exec(path)?.[1]));
  const given = rest.filter(({ value }) => fieldOf(value, "id") === undefined).length;
  const missing = Math.max(given, ...numbers.map((n) => n + 1)) - numbers.length;
  if (missing <= 0) return [];
  return [
    `${missing} device${missing === 1 ? "" : "s"} of the command line without an id ` +
    `${missing === 1 ? "was" : "were"} removed while the guest ran: vmferry cannot tell which. ` +
    "Give the command line of now with --qemu-command FILE",
  ];
}

/** Drops drives and nodes that no device reaches. */
function unusedDrives(
  { blocks, graph }: MachineState,
  given: GivenOptions,
  edits: Edits,
  rest: readonly Given[],
  removed: string[],
  warnings: string[],
): string[] {
  const used = blocks.filter((b) => b.qdev || /^pflash\d+$/.test(b.device));
  const reached = reachedFrom(graph, used.map((b) => b.inserted?.["node-name"] ?? ""));
  const problems: string[] = [];
  const dropped = new Set<number>();
  // A drive whose device was removed or whose medium was ejected is no surprise.
  const before = given.all.filter(({ value }) => value.option.name === "device");
  const isNeeded = (id: string) => rest.some(({ value }) => fieldOf(value, "drive") === id);
  for (const [id, { index }] of given.drives) {
    const block = blocks.find(({ device }) => device === id);
    if (block && used.includes(block) || edits.isDropped(index)) continue;
    if (isNeeded(id)) {
      problems.push(
        `drive ${id} was taken from its device while the guest ran (drive_del): remove the ` +
          "device, too (device_del)",
      );
      continue;
    }
    if (block) warnings.push(unused(id));
    else removed.push(id);
    dropped.add(index);
  }
  for (const { value, index } of given.all) {
    if (value.option.name !== "blockdev") continue;
    const names = value.fields.filter(({ key }) => /(^|\.)node-name$/.test(key)).map((f) =>
      f.value
    );
    if (names.some((name) => reached.has(name))) continue;
    const [name = ""] = names;
    // Its image was replaced by another one, or its medium by another; the option opens the new one.
    if (names.some(isNeeded)) continue;
    if (isBelow(names, given, rest)) continue;
    if (graph.has(name) && !isBelow(names, given, before)) warnings.push(unused(name));
    else removed.push(name);
    dropped.add(index);
  }
  for (const index of dropped) edits.drop(index);
  return problems;
}

/** Whether a node that a device needs has one of these below it. */
function isBelow(names: readonly string[], given: GivenOptions, rest: readonly Given[]): boolean {
  const roots = rest.map(({ value }) => fieldOf(value, "drive")).filter((id) => id !== undefined);
  const seen = new Set<string>();
  for (const name of roots) {
    const queue = [name];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      const fields = given.nodes.get(next)?.value.fields ?? [];
      queue.push(...fields.map((f) => f.value).filter((value) => given.nodes.has(value)));
    }
  }
  return names.some((name) => seen.has(name));
}

function unused(name: string): string {
  return `drive ${name} of the command line belongs to no device: the destination's QEMU starts without it`;
}

/** Gives the devices that are left the addresses that they have. */
function pin(state: MachineState, given: GivenOptions, edits: Edits): void {
  for (const { id, place } of state.devices) {
    const device = given.devices.get(id);
    if (!device || edits.isDropped(device.index)) continue;
    for (const [key, value] of Object.entries(place)) {
      if (fieldOf(device.value, key) === undefined) edits.set(device.index, key, value);
    }
  }
}
