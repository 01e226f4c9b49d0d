/**
 * Options for devices that were added while the guest ran, and for the drives, netdevs, objects and
 * character devices that they use. Pure.
 *
 * @module
 */
import { fieldOf, isOn } from "../command/mod.ts";
import {
  type BackendOption,
  chardevOption,
  netdevOption,
  objectOption,
  tapQueues,
  userNetdevs,
} from "./backend_options.ts";
import { chainOf } from "./block_chain.ts";
import { blockOption } from "./block_options.ts";
import { deviceOption, namedDevice } from "./device_options.ts";
import type { GivenOptions } from "./given.ts";
import type { AddedDevice, MachineState } from "./machine_state.ts";

/** What brings the devices back. */
export interface Additions {
  readonly added: readonly (readonly [option: string, value: string])[];
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * The options, backends before the devices that use them.
 *
 * @param vhostNets queues of NICs that vhost-net serves; `null` where that is not known.
 */
export function additionsOf(
  state: MachineState,
  given: GivenOptions,
  cwd: string,
  vhostNets: number | null,
): Additions {
  const maker = new Maker(state, given, cwd, vhostOf(state, given, vhostNets));
  for (const device of state.added) maker.add(device);
  // Each has a section in the migration stream, even without a NIC.
  for (const id of userNetdevs(state.network)) maker.netdev(id);
  return maker;
}

/**
 * Whether the taps that were added have vhost: QEMU does not report it, but it has a descriptor for each
 * queue that has. `null` where some have it and others not.
 */
function vhostOf(
  { network }: MachineState,
  given: GivenOptions,
  vhostNets: number | null,
): boolean | null {
  if (vhostNets === null) return null;
  let [here, added] = [vhostNets, 0];
  for (const [id, queues] of tapQueues(network)) {
    const netdev = given.netdevs.get(id)?.value;
    if (!netdev) added += queues;
    else if (["vhost", "vhostforce"].some((key) => isOn(fieldOf(netdev, key)))) here -= queues;
  }
  if (here <= 0) return false;
  return here >= added ? true : null;
}

class Maker implements Additions {
  readonly added: (readonly [option: string, value: string])[] = [];
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  readonly #state: MachineState;
  readonly #given: GivenOptions;
  readonly #cwd: string;
  readonly #vhost: boolean | null;
  /** Kind and id of each backend that was looked at. */
  readonly #seen = new Set<string>();

  constructor(state: MachineState, given: GivenOptions, cwd: string, vhost: boolean | null) {
    this.#vhost = vhost;
    this.#state = state;
    this.#given = given;
    this.#cwd = cwd;
  }

  add(device: AddedDevice): void {
    const drives = new Map<string, string>();
    const made = deviceOption(device);
    if (made.problem !== undefined) return void this.problems.push(made.problem);
    const extra = this.#cacheOf(device);
    const moved = this.#movedDrive(device);
    if (moved !== undefined) {
      this.#drive(device, moved, drives);
      extra.push(["drive", drives.get(moved) ?? moved]);
    }
    for (const { name, type, value } of device.properties) {
      if (Array.isArray(value)) this.#ioThreads(value);
      if (typeof value !== "string" || value === "") continue;
      if (name === "drive") this.#drive(device, value, drives);
      else if (name === "netdev") this.netdev(value);
      else if (name === "chardev") this.#chardev(value);
      else if (type.startsWith("link<")) this.#object(value);
      else if (name === "audiodev" && !this.#isGiven("audiodev", value)) {
        this.problems.push(
          `device ${
            namedDevice(device)
          } was added while the guest ran, with an audio backend that ` +
            `the command line does not have (${value}): remove it from the guest (device_del)`,
        );
      }
    }
    this.added.push(["device", deviceOption(device, drives, extra).value ?? made.value]);
  }

  #drive(device: AddedDevice, name: string, drives: Map<string, string>): void {
    if (this.#given.drives.has(name) || this.#given.nodes.has(name)) return;
    const block = this.#state.blocks.find((b) =>
      b.device === name || b.inserted?.["node-name"] === name
    );
    const chain = chainOf(this.#state.graph, block?.inserted?.["node-name"] ?? "");
    // A drive without a medium.
    if (!block || !chain) return void drives.set(name, "");
    // QEMU's own names cannot be given.
    const node = name.startsWith("#") ? `drive-${device.id || this.added.length}` : name;
    drives.set(name, node);
    const made = blockOption(device.id || name, node, chain, block, this.#cwd);
    if ("problem" in made) this.problems.push(made.problem);
    else this.added.push(made.option);
  }

  /** A usb-storage gives its drive to a SCSI disk of its own. */
  #movedDrive({ path, properties }: AddedDevice): string | undefined {
    if (!properties.some(({ name, value }) => name === "drive" && value === "")) return undefined;
    const block = this.#state.blocks.find(({ qdev }) => qdev?.startsWith(`${path}/`));
    return block && (block.device || block.inserted?.["node-name"]);
  }

  /** The device's write cache is off, as it was set on its drive. */
  #cacheOf(device: AddedDevice): [string, string][] {
    const drive = device.properties.find(({ name }) => name === "drive")?.value;
    const block = drive === ""
      ? undefined
      : this.#state.blocks.find((b) => b.device === drive || b.inserted?.["node-name"] === drive);
    const own = device.properties.find(({ name }) => name === "write-cache")?.value;
    return block?.inserted?.cache?.writeback === false && own === "auto"
      ? [["write-cache", "off"]]
      : [];
  }

  /** A netdev that the command line does not have. */
  netdev(id: string): void {
    if (this.#given.netdevs.has(id)) return;
    this.#once("netdev", id, () => netdevOption(id, this.#state, this.#vhost));
  }

  #chardev(id: string): void {
    if (this.#given.chardevs.has(id)) return;
    const filename = this.#state.chardevs.find(({ label }) => label === id)?.filename ?? "";
    this.#once("chardev", id, () => chardevOption(id, filename));
  }

  #object(path: string): void {
    const id = /^\/objects\/([^/]+)$/.exec(path)?.[1];
    const object = this.#state.objects.find((o) => o.id === id);
    if (!object || this.#given.objects.has(object.id)) return;
    this.#once("object", object.id, () => objectOption(object));
  }

  #ioThreads(value: readonly unknown[]): void {
    for (const entry of value) {
      const { iothread } = (entry ?? {}) as { iothread?: unknown };
      if (typeof iothread === "string") this.#object(`/objects/${iothread}`);
    }
  }

  #isGiven(option: string, id: string): boolean {
    return this.#given.all.some(({ value }) =>
      value.option.name === option && value.fields.some((f) => f.key === "id" && f.value === id)
    );
  }

  #once(kind: string, id: string, make: () => BackendOption): void {
    if (this.#seen.has(`${kind} ${id}`)) return;
    this.#seen.add(`${kind} ${id}`);
    const made = make();
    if ("problem" in made) return void this.problems.push(made.problem);
    this.added.push(made.option);
    if (made.warning !== undefined) this.warnings.push(made.warning);
  }
}
