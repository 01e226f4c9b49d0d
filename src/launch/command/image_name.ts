/**
 * Names and options of images, in which a driver or protocol decides what is a path (block.c,
 * `path_has_protocol`; block/file-posix.c, nbd.c, vvfat.c, blkdebug.c, blkverify.c). Pure.
 *
 * @module
 */
import { isOn, type OptionField, parseJson, writeFields } from "./option_value.ts";
import { type PathUse, use, type VisitKey, type VisitPath } from "./path.ts";

/** Drivers whose `filename` is a path. */
const FILE_DRIVERS = ["file", "host_device", "host_cdrom", "host_floppy", "raw", "io_uring"];
/** Prefixes of a name that leave the rest a path. */
const PATH_PREFIXES = ["file", "host_device", "host_cdrom", "host_floppy"];

/** The protocol of an image's name, such as `nbd`; `null`: it is a path. */
export function protocolOf(name: string): string | null {
  return /^([^:/]*):/.exec(name)?.[1] ?? null;
}

/** Visits the paths in an image's name, as `-drive file=` takes it. */
export function mapImageName(name: string, image: PathUse, visit: VisitPath): string {
  const protocol = protocolOf(name);
  if (protocol === null) return asName(visit(name, image));
  const rest = name.slice(protocol.length + 1);
  if (PATH_PREFIXES.includes(protocol)) return `${protocol}:${visit(rest, image)}`;
  switch (protocol) {
    case "json": {
      const fields = parseJson(rest);
      return `json:${writeFields(rest, mapBlockFields(fields, image, visit))}`;
    }
    case "fat": {
      const flags = /^(?:floppy:|32:|16:|12:|rw:)*/.exec(rest)![0];
      const directory = use("directory", { writable: flags.includes("rw:") });
      return `fat:${flags}${visit(rest.slice(flags.length), directory)}`;
    }
    case "blkdebug":
    case "blkverify": {
      const colon = rest.indexOf(":");
      if (colon < 0) return name;
      const first = rest.slice(0, colon);
      const kind = protocol === "blkdebug" ? use("read-only") : image;
      const path = first === "" ? "" : visit(first, kind);
      return `${protocol}:${path}:${mapImageName(rest.slice(colon + 1), image, visit)}`;
    }
    case "nbd":
      return mapNbd(name, visit);
    case "nbd+unix":
      // QEMU decodes the key, too.
      return name.replace(
        /([?&;])([^=&;]*)=([^&;#]*)/g,
        (whole, begin: string, key: string, path: string) =>
          decode(key) === "socket"
            ? `${begin}${key}=${encodePath(visit(decode(path), use("socket", { connects: true })))}`
            : whole,
      );
    default:
      return name;
  }
}

function mapNbd(name: string, visit: VisitPath): string {
  const found = /^(nbd:unix:)(.*?)(:exportname=.*)?$/s.exec(name);
  if (found === null) return name;
  return found[1]! + visit(found[2]!, use("socket", { connects: true })) + (found[3] ?? "");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** A path as a name: a colon before any slash would be a protocol. */
function asName(path: string): string {
  return protocolOf(path) === null ? path : `./${path}`;
}

/** Visits the paths in the options of a block node and the nodes below it. */
export function mapBlockFields(
  fields: readonly OptionField[],
  image: PathUse,
  visit: VisitKey,
): OptionField[] {
  const values = new Map(fields.map(({ key, value }) => [key, value]));
  const valueOf = (key: string) => values.get(key);
  return fields.map((field) => {
    const at = field.key.lastIndexOf(".") + 1;
    const node = field.key.slice(0, at);
    const driver = valueOf(`${node}driver`) ?? null;
    const used = readOnlyAt(node, valueOf) ? use("read-only") : image;
    const see = (path: string, how: PathUse) => visit(path, how, field.key);
    const value = mapBlockValue(field, field.key.slice(at), driver, used, see);
    return value === null ? field : { ...field, value };
  });

  function mapBlockValue(
    { key, value }: OptionField,
    last: string,
    driver: string | null,
    image: PathUse,
    see: VisitPath,
  ): string | null {
    const connects = use("socket", { connects: true });
    if (last === "filename") {
      return driver === null || FILE_DRIVERS.includes(driver) ? see(value, image) : null;
    }
    if (last === "path") {
      const server = /^(.*\.)?server\.(?:\d+\.)?path$/.exec(key);
      if (server !== null) {
        const above = valueOf(`${server[1] ?? ""}driver`);
        return above === "nbd" || above === "gluster" ? see(value, connects) : null;
      }
      if (driver === "nbd" || driver === "virtio-blk-vhost-user") return see(value, connects);
      if (driver === "io_uring") return see(value, image);
      if (driver === "nvme-io_uring" || driver === "virtio-blk-vhost-vdpa") {
        return see(value, use("device", { writable: true }));
      }
      return null;
    }
    if (last === "dir" && driver === "vvfat") {
      return see(value, use("directory", { writable: valueOf("rw") === "on" }));
    }
    if (last === "config" && driver === "blkdebug") return see(value, use("read-only"));
    if (last === "logfile" && driver === "gluster") return see(value, use("output"));
    if (last === "conf" && driver === "rbd") return see(value, use("config"));
    return null;
  }
}

/** A node is opened for reading only, by itself or by one above it; so is everything below an overlay. */
function readOnlyAt(node: string, valueOf: (key: string) => string | undefined): boolean {
  const parts = node.split(".").slice(0, -1);
  // What a node says itself counts more than what it inherits.
  for (let count = parts.length; count >= 0; count--) {
    const above = parts.slice(0, count).map((part) => `${part}.`).join("");
    const said = valueOf(`${above}read-only`) ?? valueOf(`${above}readonly`);
    if (said !== undefined) return isOn(said);
    if (parts[count - 1] === "backing") return true;
  }
  return false;
}
