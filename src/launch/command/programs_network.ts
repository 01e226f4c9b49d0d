/**
 * Programs that network backends run (net/tap.c, slirp.c, passt.c of QEMU 7.2 to 11.1). Pure.
 *
 * @module
 */
import { fieldsOf, type OptionValue } from "./option_value.ts";

/** Keys of every backend, and those that -nic and -net add for the guest's NIC. */
const COMMON = ["type", "id", "mac", "macaddr", "model", "name", "addr", "vectors", "netdev"];
/** Keys of each backend that run nothing, without those of an address; any other one counts. */
const KEYS: Readonly<Record<string, string>> = {
  "none": "",
  "nic": "",
  "hubport": "hubid",
  "tap": "fd fds ifname br sndbuf vnet_hdr vhost vhostfd vhostfds vhostforce queues poll-us",
  "bridge": "br",
  "user": "hostname restrict ipv4 ipv6 net host tftp bootfile dhcpstart dns dnssearch domainname " +
    "ipv6-prefix ipv6-prefixlen ipv6-net ipv6-host ipv6-dns ip smbserver hostfwd tftp-server-name",
  "l2tpv3": "src dst srcport dstport ipv6 udp cookie64 counter pincounter txcookie rxcookie " +
    "txsession rxsession offset",
  "socket": "fd listen connect mcast localaddr udp",
  "stream": "server reconnect reconnect-ms",
  "dgram": "",
  "vde": "sock port group mode",
  "vhost-user": "chardev vhostforce queues",
  "vhost-vdpa": "vhostdev vhostfd x-svq queues",
  "af-xdp": "ifname mode force-copy queues start-queue inhibit sock-fds map-path map-start-index",
  "netmap": "ifname devname",
};
/** Keys of nested addresses. */
const ADDRESS =
  /^(?:addr|local|remote)\.(?:type|host|port|path|str|cid|to|numeric|ipv4|ipv6|abstract|tight|keep-alive|keep-alive-\w+|mptcp)$/;

/** What a network backend runs. */
export function networkPrograms(value: OptionValue): string[] {
  const types = fieldsOf(value, "type");
  const found = types.flatMap((type) => programsOf(type, value));
  if (types.length === 0) found.push("has no type");
  const known = types.flatMap((type) => Object.hasOwn(KEYS, type) ? KEYS[type]!.split(" ") : []);
  for (const field of value.fields) {
    const { key, style } = field;
    const what = keyPrograms(key, field.value);
    if (what === null) {
      if (types.includes("passt")) continue;
      if (
        !COMMON.includes(key) && !known.includes(withoutIndex(key, style)) && !isAddress(key, types)
      ) {
        found.push(`has the key ${key}, which vmferry does not know`);
      }
    } else found.push(...what);
  }
  return found;
}

/** What a backend runs without being asked. */
function programsOf(type: string, value: OptionValue): string[] {
  const given = (...keys: string[]) => keys.some((key) => fieldsOf(value, key).length > 0);
  switch (type) {
    case "tap": {
      if (given("fd", "fds", "helper")) return [];
      return [
        ...(given("script") ? [] : ["runs /etc/qemu-ifup"]),
        ...(given("downscript") ? [] : ["runs /etc/qemu-ifdown"]),
      ];
    }
    case "bridge":
      return given("helper") ? [] : ["runs qemu-bridge-helper"];
    case "af-xdp":
    case "netmap":
      return ["takes over a network interface of the host"];
    case "passt":
      return [`runs ${fieldsOf(value, "path")[0] ?? "passt"} with arguments of its choice`];
    default:
      return Object.hasOwn(KEYS, type)
        ? []
        : [`is of the type ${type}, which vmferry does not know`];
  }
}

/** What a key runs; `null`: it is none of those that run something. */
function keyPrograms(key: string, value: string): string[] | null {
  switch (withoutIndex(key, "json").replace(/\.str$/, "")) {
    case "script":
    case "downscript":
      return value === "no" || value === "" ? [] : [`runs ${value}`];
    case "helper":
      return [`runs ${value}`];
    case "smb":
      return [`runs smbd for ${value}`];
    case "guestfwd":
      return forwardPrograms(value);
    default:
      return null;
  }
}

/** `tcp:ADDRESS:PORT-cmd:COMMAND`, or a character device in place of a command. */
function forwardPrograms(value: string): string[] {
  const to = value.slice(value.indexOf("-") + 1);
  const command = /cmd:(.*)$/s.exec(value)?.[1];
  if (command !== undefined) return [`runs ${command} for each connection`];
  // Behind a comma a log file could follow; a socket of this host may be that of a monitor.
  return /^(?:(?:tcp|udp|chardev):[^,]*|null)$/.test(to) ? [] : [`connects the guest to ${to}`];
}

/** The key of an element of a list: `hostfwd.0.str` is `hostfwd`. */
function withoutIndex(key: string, style: string): string {
  return style === "json" ? key.replace(/\.\d+(?=\.|$)/, "").replace(/\.str$/, "") : key;
}

function isAddress(key: string, types: readonly string[]): boolean {
  return types.some((type) => type === "stream" || type === "dgram") && ADDRESS.test(key);
}
