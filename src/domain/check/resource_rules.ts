/**
 * Rules on networks and storage pools of the destination. Pure.
 *
 * @module
 */
import { Collected, type Findings } from "./findings.ts";
import { closest } from "./source_rules.ts";

/** A network or storage pool of a libvirt. */
export interface Named {
  readonly name: string;
  readonly active: boolean;
}

/** What a domain's interfaces and disks refer to, and what the destination has. */
export interface Resources {
  /** The domain's interfaces, as they are at the destination. */
  readonly interfaces: readonly { readonly kind: string; readonly source: string }[];
  /** The destination's networks; `null` where libvirt does not list them. */
  readonly networks: readonly Named[] | null;
  /** The destination's network interfaces; empty where unknown. */
  readonly hostInterfaces: readonly string[];
  /** Pools of the domain's disks of the type `volume`, by the disk's target. */
  readonly volumes: readonly { readonly target: string; readonly pool: string }[];
  /** The destination's pools; `null` where libvirt does not list them. */
  readonly pools: readonly Named[] | null;
}

/** Judges whether the destination has what the domain refers to. */
export function judgeResources(resources: Resources): Findings {
  const found = new Collected();
  for (const { kind, source } of unique(resources.interfaces)) {
    if (kind === "network") judgeNetwork(source, resources.networks, found);
    else if (kind === "bridge" || kind === "direct") {
      judgeInterface(kind, source, resources.hostInterfaces, found);
    }
  }
  for (const { target, pool } of resources.volumes) judgePool(target, pool, resources.pools, found);
  return found;
}

function judgeNetwork(name: string, networks: readonly Named[] | null, found: Collected): void {
  const network = networks?.find((known) => known.name === name);
  if (networks === null) {
    found.warnings.push(
      `the destination's libvirt does not list its networks: make sure that network ${name} is active there`,
    );
  } else if (!network) {
    found.problem(
      "destination",
      "network-missing",
      `there is no network ${name}${
        meant(name, networks.map((known) => known.name))
      }. Define it there ('virsh net-dumpxml ${name}' at ` +
        "the source, 'virsh net-define' at the destination), or name another one with -- --xml FILE",
    );
  } else if (!network.active) {
    found.problem(
      "destination",
      "network-missing",
      `network ${name} is inactive, expected an active one. Start it there with 'virsh net-start ${name}'`,
    );
  }
}

function judgeInterface(
  kind: "bridge" | "direct",
  name: string,
  interfaces: readonly string[],
  found: Collected,
): void {
  const what = kind === "bridge" ? "bridge" : "network interface";
  if (interfaces.length === 0) {
    found.warnings.push(
      `the destination's interfaces are unknown: make sure that it has ${what} ${name}`,
    );
  } else if (!interfaces.includes(name)) {
    found.problem(
      "destination",
      "network-missing",
      `there is no ${what} ${name}${
        meant(name, interfaces)
      }. Create it there, or name another one with ` +
        "-- --xml FILE",
    );
  }
}

function judgePool(
  target: string,
  name: string,
  pools: readonly Named[] | null,
  found: Collected,
): void {
  const pool = pools?.find((known) => known.name === name);
  if (pools === null) {
    found.warnings.push(
      `the destination's libvirt does not list its storage pools: make sure that pool ${name} is active there`,
    );
  } else if (!pool) {
    found.problem(
      "destination",
      "pool-missing",
      `disk ${target} is a volume of pool ${name}, which does not exist${
        meant(name, pools.map((known) => known.name))
      }. Define the pool ` +
        "there ('virsh pool-define'), or give the disk another source with -- --xml FILE",
    );
  } else if (!pool.active) {
    found.problem(
      "destination",
      "pool-missing",
      `disk ${target} is a volume of pool ${name}, which is inactive. Start it there with ` +
        `'virsh pool-start ${name}'`,
    );
  }
}

function meant(name: string, known: readonly string[]): string {
  const near = closest(name, known);
  return near === undefined ? "" : ` (did you mean ${near}?)`;
}

function unique<T extends { readonly kind: string; readonly source: string }>(
  items: readonly T[],
): T[] {
  return items.filter((item, i) =>
    items.findIndex(({ kind, source }) => kind === item.kind && source === item.source) === i
  );
}
