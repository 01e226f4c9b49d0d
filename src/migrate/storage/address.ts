/**
 * The address of the storage of a node in QEMU's block layer, in one form whether QEMU got a path, a URL
 * or options. Pure.
 *
 * @module
 */
import type { BlockNode } from "../../qmp/mod.ts";

/** The address of a node that has no node below it. */
export interface StorageAddress {
  /** For messages, without passwords. */
  readonly text: string;
  /** Its names on the network; several where a cluster has several servers. */
  readonly network: readonly NetworkName[];
  /** A file, device or socket of the host, as a path. */
  readonly path?: string;
  /** The export behind the socket at `path`, as `nbd/NAME`. */
  readonly behind?: string;
  /** The NBD server, where vmferry can speak with it. */
  readonly nbd?: NbdServer;
}

/** An NBD server without TLS, by UNIX socket or by host and port, and one of its exports. */
export interface NbdServer {
  readonly at: { readonly path: string } | { readonly host: string; readonly port: number };
  readonly exportName: string;
}

/** A name that means the same storage on every host for which `server` is the same host. */
export interface NetworkName {
  readonly key: string;
  /** Host name or address, in lower case. */
  readonly server: string;
}

/** Options by their dotted names, as on QEMU's command line. */
type Options = ReadonlyMap<string, string>;

/**
 * The address of a node that has no node below it. Reads `filename` of `query-named-block-nodes`, which
 * is a path, a URL or `json:` with options (QEMU 2.10 and later).
 *
 * @returns `undefined` where the driver has no storage or the file name says nothing about it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { addressOf } from "./address.ts";
 *
 * const node = { name: "d0", driver: "nbd", filename: "nbd://nas/vm1", readOnly: false, children: [] };
 * assertEquals(addressOf(node)?.text, "nbd://nas:10809/vm1");
 * ```
 */
export function addressOf({ driver, filename }: BlockNode): StorageAddress | undefined {
  const options = optionsOf(filename);
  switch (driver) {
    case "file":
    case "host_device":
    case "host_cdrom":
      return fileAddress(options.get("filename") ?? filename.replace(/^(file|host_\w+):/, ""));
    case "nbd":
      return nbdAddress(options, filename);
    case "rbd":
      return clusterAddress("rbd", [options.get("pool"), options.get("namespace")], {
        ...{ options, last: options.get("image"), port: "" },
      });
    case "gluster":
      return glusterAddress(options, filename);
    case "iscsi":
      return iscsiAddress(options, filename);
    case "nfs":
    case "ssh":
      return pathOnServer(driver, options, filename);
    case "http":
    case "https":
    case "ftp":
    case "ftps":
      return urlAddress(options.get("url") ?? filename);
    case "nvme": {
      const device = options.get("device") ?? filename.replace(/^nvme:\/\//, "").split("/")[0]!;
      return { text: `nvme://${device}`, network: [], path: `/sys/bus/pci/devices/${device}` };
    }
    case "virtio-blk-vhost-user":
    case "virtio-blk-vhost-vdpa":
    case "nvme-io_uring":
      return fileAddress(options.get("path") ?? filename);
    default:
      return undefined;
  }
}

/** The options in a `json:` file name; `undefined` for another file name or broken JSON. */
export function jsonOf(filename: string): Readonly<Record<string, unknown>> | undefined {
  if (!filename.startsWith("json:")) return undefined;
  try {
    const value: unknown = JSON.parse(filename.slice("json:".length));
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function optionsOf(filename: string): Options {
  const found = new Map<string, string>();
  const walk = (value: unknown, name: string) => {
    if (typeof value === "object" && value !== null) {
      const inner = name === "" ? "" : `${name}.`;
      for (const [key, member] of Object.entries(value)) walk(member, inner + key);
    } else if (value !== null && value !== undefined) {
      found.set(name, String(value));
    }
  };
  walk(jsonOf(filename) ?? {}, "");
  return found;
}

function fileAddress(path: string): StorageAddress | undefined {
  return path === "" ? undefined : { text: path, network: [], path };
}

function nbdAddress(options: Options, filename: string): StorageAddress | undefined {
  const url = urlOf(filename);
  const name = options.get("export") ?? decode(url?.pathname.replace(/^\//, "") ?? "");
  const socket = options.get("server.path") ?? options.get("path") ??
    url?.searchParams.get("socket") ?? undefined;
  if (socket !== undefined) {
    const text = `nbd+unix:///${name}?socket=${socket}`;
    const nbd = { at: { path: socket }, exportName: name };
    return { text, network: [], path: socket, behind: `nbd/${name}`, ...spoken(nbd, options) };
  }
  const host = options.get("server.host") ?? options.get("host") ?? url?.hostname ?? "";
  if (host === "") return undefined;
  const port = portOf(options, "server.port") ?? options.get("port") ?? url?.port ?? "";
  const nbd = { at: { host, port: Number(port || "10809") }, exportName: name };
  return { ...onServer("nbd", host, port || "10809", `/${name}`), ...spoken(nbd, options) };
}

function spoken(nbd: NbdServer, options: Options): { nbd?: NbdServer } {
  return options.has("tls-creds") ? {} : { nbd };
}

function iscsiAddress(options: Options, filename: string): StorageAddress | undefined {
  const url = urlOf(filename.replace(/^iscsi:\/\/[^/@]*@/, "iscsi://"));
  const [, urlTarget, urlLun] = url?.pathname.split("/") ?? [];
  const portal = options.get("portal") ?? url?.host ?? "";
  const target = options.get("target") ?? decode(urlTarget ?? "");
  if (portal === "" || target === "") return undefined;
  const [, host = portal, port = "3260"] = /^(.*?)(?::(\d+))?$/.exec(portal) ?? [];
  return onServer("iscsi", host, port, `/${target}/${options.get("lun") ?? urlLun ?? "0"}`);
}

function pathOnServer(
  driver: "nfs" | "ssh",
  options: Options,
  filename: string,
): StorageAddress | undefined {
  const url = urlOf(filename);
  const host = options.get("server.host") ?? url?.hostname ?? "";
  const path = options.get("path") ?? decode(url?.pathname ?? "");
  if (host === "" || path === "") return undefined;
  const port = driver === "ssh" ? portOf(options, "server.port") ?? (url?.port || "22") : "";
  return onServer(driver, host, port, path.replace(/^\/*/, "/"));
}

function glusterAddress(options: Options, filename: string): StorageAddress | undefined {
  const url = urlOf(filename.replace(/^gluster\+\w+:/, "gluster:"));
  const [, volume, ...path] = url?.pathname.split("/") ?? [];
  if (url) return onServer("gluster", url.hostname, "", `/${volume}/${path.join("/")}`);
  return clusterAddress("gluster", [options.get("volume")], {
    ...{ options, last: options.get("path"), port: "" },
  });
}

/** Storage of a cluster, which is reached by each of its servers. */
function clusterAddress(
  scheme: string,
  parents: readonly (string | undefined)[],
  rest: { readonly options: Options; readonly last: string | undefined; readonly port: string },
): StorageAddress | undefined {
  if (rest.last === undefined || parents[0] === undefined) return undefined;
  const path = [...parents.filter((f) => f !== undefined), rest.last].join("/");
  const servers = [...rest.options].filter(([name]) => /^server\.\d+\.host$/.test(name));
  return {
    text: `${scheme}:${path}`,
    network: servers.map(([, host]) => nameOn(scheme, host, rest.port, `/${path}`)),
  };
}

function urlAddress(text: string): StorageAddress | undefined {
  const url = urlOf(text);
  if (!url) return undefined;
  return onServer(url.protocol.replace(":", ""), url.hostname, url.port, url.pathname + url.search);
}

function onServer(scheme: string, host: string, port: string, rest: string): StorageAddress {
  const name = nameOn(scheme, host, port, rest);
  return { text: name.key, network: [name] };
}

function nameOn(scheme: string, host: string, port: string, rest: string): NetworkName {
  const server = host.toLowerCase().replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  const shown = server.includes(":") ? `[${server}]` : server;
  return { key: `${scheme}://${shown}${port === "" ? "" : `:${port}`}${rest}`, server };
}

function portOf(options: Options, name: string): string | undefined {
  return options.get(name);
}

/** The class URL parses hosts and ports of a few schemes only, so others are parsed as http. */
function urlOf(text: string): URL | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text);
  if (!match) return undefined;
  try {
    const web = /^(https?|ftps?)$/.test(match[1]!);
    const empty = /^(\/|\?|$)/.test(match[2]!);
    const url = new URL(web ? text : `http://${empty ? "none" : ""}${match[2]}`);
    url.username = url.password = "";
    if (empty) url.hostname = "none";
    return url;
  } catch {
    return undefined;
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
