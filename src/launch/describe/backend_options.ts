/**
 * -netdev, -object and -chardev options for what was added while the guest ran and a device of it uses.
 * QEMU reports netdevs and character devices as texts of HMP only. Pure.
 *
 * @module
 */
import { keyValues } from "./given.ts";
import type { MachineObject, MachineState } from "./machine_state.ts";

/** An option, or the reason why there is none. */
export type BackendOption =
  | { readonly option: readonly [name: string, value: string]; readonly warning?: string }
  | { readonly problem: string };

const NETDEV = /^(?: \\ )?(\S+): index=(\d+),type=([\w-]+),(.*)$/;
const FORWARD = /^\s+(TCP|UDP)\[HOST_FORWARD\]\s+\S+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)/;

/**
 * The -netdev option of a netdev, from the texts of `info network` and `info usernet`.
 *
 * @param vhost a tap has it; `null`: not known.
 */
export function netdevOption(
  id: string,
  { network, usernet }: Pick<MachineState, "network" | "usernet">,
  vhost: boolean | null,
): BackendOption {
  const queues = network.split(/\r?\n/).map((line) => NETDEV.exec(line))
    .filter((m) => m !== null && m[1] === id && m[3] !== "nic");
  const [, , , type = "", info = ""] = queues[0] ?? [];
  const facts = Object.fromEntries(
    info.split(",").map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
    }),
  );
  if (type === "user") {
    const fields: [string, string][] = [["", "user"], ["id", id]];
    if (facts["net"] && facts["net"] !== "10.0.2.0") fields.push(["net", `${facts["net"]}/24`]);
    if (facts["restrict"] === "on") fields.push(["restrict", "on"]);
    return { option: ["netdev", keyValues([...fields, ...forwards(id, usernet)])] };
  }
  if (type === "tap" && facts["ifname"]) {
    const fields: [string, string][] = [["", "tap"], ["id", id], ["ifname", facts["ifname"]]];
    for (const key of ["script", "downscript"]) {
      if (facts[key] !== undefined) fields.push([key, facts[key] || "no"]);
    }
    if (queues.length > 1) fields.push(["queues", String(queues.length)]);
    if (vhost) fields.push(["vhost", "on"]);
    const option = ["netdev", keyValues(fields)] as const;
    if (vhost !== null) return { option };
    const warning =
      `netdev ${id} was added while the guest ran: QEMU does not report whether it has ` +
      "vhost, and at the destination it has none";
    return { option, warning };
  }
  if (type === "tap" && facts["br"]) {
    const helper: [string, string][] = /(^|\/)qemu-bridge-helper$/.test(facts["helper"] ?? "")
      ? []
      : [["helper", facts["helper"] ?? ""]];
    return {
      option: ["netdev", keyValues([["", "bridge"], ["id", id], ["br", facts["br"]], ...helper])],
    };
  }
  const what = type === "" ? "" : `, of type ${type},`;
  return {
    problem:
      `netdev ${id}${what} was added while the guest ran, and QEMU does not report its options: ` +
      "remove its NIC before the migration and add it at the destination",
  };
}

/** Queues of each tap, by its id. */
export function tapQueues(network: string): Map<string, number> {
  const queues = new Map<string, number>();
  for (const line of network.split(/\r?\n/)) {
    const [, id, , type] = NETDEV.exec(line) ?? [];
    if (id !== undefined && type === "tap") queues.set(id, (queues.get(id) ?? 0) + 1);
  }
  return queues;
}

/** Ids of all user netdevs but those that QEMU has named itself, as for `-net user`. */
export function userNetdevs(network: string): string[] {
  return network.split(/\r?\n/).map((line) => NETDEV.exec(line))
    .flatMap((m) => m?.[3] === "user" && m[2] === "0" && /^[A-Za-z]/.test(m[1]!) ? [m[1]!] : []);
}

function forwards(id: string, usernet: string): [string, string][] {
  const found: [string, string][] = [];
  let isOurs = false;
  for (const line of usernet.split(/\r?\n/)) {
    const hub = /^Hub .*\((.*)\):$/.exec(line);
    if (hub) isOurs = hub[1] === id;
    const [, protocol, host = "", hostPort, guest, guestPort] = FORWARD.exec(line) ?? [];
    if (!isOurs || protocol === undefined) continue;
    const from = host === "*" ? "" : host;
    const value = `${protocol.toLowerCase()}:${from}:${hostPort}-${guest}:${guestPort}`;
    found.push(["hostfwd", value]);
  }
  return found;
}

/** Properties of an object at their defaults, by type; those of `undefined` are always set. */
const OBJECTS: readonly (readonly [RegExp, Readonly<Record<string, unknown>>])[] = [
  [/^memory-backend-/, {
    ...{ size: undefined, "mem-path": undefined, share: undefined },
    ...{ prealloc: false, merge: true, dump: true, reserve: true, policy: "default" },
    ...{
      "host-nodes": [],
      align: 0,
      pmem: false,
      readonly: false,
      "discard-data": false,
      offset: 0,
    },
    ...{ hugetlb: false, hugetlbsize: 0, seal: true },
  }],
  [/^iothread$/, {
    ...{ "poll-max-ns": 32768, "poll-grow": 0, "poll-shrink": 0, "aio-max-batch": 0 },
    ...{ "thread-pool-min": 0, "thread-pool-max": 64 },
  }],
  [/^rng-random$/, { filename: undefined }],
  [/^rng-builtin$/, {}],
];

/** The -object option of an object; JSON, as QEMU 6.0 and later take it. */
export function objectOption({ id, type, properties }: MachineObject): BackendOption {
  const defaults = OBJECTS.find(([pattern]) => pattern.test(type))?.[1];
  if (!defaults) {
    return {
      problem: `object ${id} (${type}) was added while the guest ran and a device uses it: ` +
        "vmferry cannot make it again. Remove the device and the object",
    };
  }
  const set = Object.entries(defaults).filter(([name, initial]) =>
    properties[name] !== undefined && properties[name] !== "" &&
    JSON.stringify(properties[name]) !== JSON.stringify(initial)
  ).map(([name]) => [name, properties[name]]);
  return {
    option: ["object", JSON.stringify({ "qom-type": type, id, ...Object.fromEntries(set) })],
  };
}

/** The -chardev option of a character device, from QEMU's text for it. */
export function chardevOption(id: string, filename: string): BackendOption {
  const make = (fields: readonly (readonly [string, string])[]): BackendOption => ({
    option: ["chardev", keyValues([...fields.slice(0, 1), ["id", id], ...fields.slice(1)])],
  });
  const text = filename.replace(/^disconnected:/, "");
  if (text === "null") return make([["", "null"]]);
  if (text.startsWith("pty:") || text === "pty") return make([["", "pty"]]);
  const socket = /^unix:(.*),server(?:=on)?(?: <-> .*)?$/.exec(text);
  // Without a client QEMU would wait for one at the start.
  if (socket) {
    return make([["", "socket"], ["path", socket[1]!], ["server", "on"], ["wait", "off"]]);
  }
  return {
    problem:
      `character device ${id} (${filename}) was added while the guest ran: vmferry cannot make ` +
      "it again. Remove the device that uses it",
  };
}
