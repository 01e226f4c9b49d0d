/**
 * Visits the paths of one option. Pure.
 *
 * @module
 */
import { backendOf } from "./character_device.ts";
import type { QemuOption } from "./command.ts";
import { mapBlockFields, mapImageName } from "./image_name.ts";
import { OPTIONS } from "./option_table.ts";
import {
  fieldOf,
  fieldsOf,
  isOn,
  type OptionField,
  type OptionValue,
  parseOption,
  withFields,
} from "./option_value.ts";
import { parseSet } from "./sets.ts";
import { type PathUse, use, type VisitKey, type VisitPath } from "./path.ts";
import { IMAGE_OPTIONS, PATH_RULES } from "./path_rules.ts";

/**
 * Visits every path of an option and returns the option with the visitor's paths.
 *
 * @throws {CommandLineError} for broken JSON.
 */
export function mapOptionPaths(option: QemuOption, visit: VisitKey): QemuOption {
  if (option.name === "set") return mapSet(option, visit);
  const value = parseOption(option);
  if (value.fields.length === 0) return option;
  return withFields(value, mapFields(value, visit));
}

function mapFields(value: OptionValue, visit: VisitKey): OptionField[] {
  const { name } = value.option;
  const image = IMAGE_OPTIONS[name];
  if (image !== undefined) {
    return value.fields.map((f) => ({
      ...f,
      value: mapImageName(f.value, image, (path, how) => visit(path, how, "")),
    }));
  }
  if (name === "drive" || name === "blockdev") return mapDrive(value, visit);
  return value.fields.map((field) => {
    const key = field.style === "raw" ? "" : field.key;
    const see = (path: string, how: PathUse) => visit(path, how, key);
    return { ...field, value: mapField(value, field, see) };
  });
}

function mapField(value: OptionValue, field: OptionField, see: VisitPath): string {
  const { name } = value.option;
  if (OPTIONS[name]?.syntax === "character-device" || name === "chardev") {
    return mapCharacterDevice(value, field, see);
  }
  switch (name) {
    case "vnc":
    case "display":
      if (field.key === "vnc") return mapVnc(field.value, see);
      break;
    case "spice":
      if (field.key === "addr" && isOn(fieldOf(value, "unix"))) {
        return see(field.value, use("socket"));
      }
      break;
    case "acpitable":
      if (field.key !== "file" && field.key !== "data") return field.value;
      return field.value.split(":").map((path) => see(path, use("read-only"))).join(":");
    case "netdev":
    case "nic":
    case "net":
      if (isNoScript(field)) return field.value;
      if (field.key === "addr.path") return see(field.value, socketOf(value));
      break;
    case "object":
      if (field.key === "mem-path") return see(field.value, memoryUse(value, field.value));
      break;
  }
  const rule = PATH_RULES[name]?.find(({ key, types }) =>
    key === (field.style === "raw" ? "" : field.key) &&
    (types === undefined || types.some((type) => fieldsOf(value, firstKey(name)).includes(type)))
  );
  if (rule === undefined || field.value === "") return field.value;
  const readOnly = isOn(fieldOf(value, "readonly"));
  return see(field.value, readOnly ? { ...rule.use, writable: false } : rule.use);
}

function firstKey(name: string): string {
  return OPTIONS[name]?.first ?? "";
}

function mapVnc(text: string, see: VisitPath): string {
  return text.startsWith("unix:") ? `unix:${see(text.slice("unix:".length), use("socket"))}` : text;
}

/** `no` and nothing stand for no script. */
function isNoScript({ key, value }: OptionField): boolean {
  return (key === "script" || key === "downscript") && (value === "no" || value === "");
}

/** A socket on which QEMU listens, or to which it connects. */
function socketOf(value: OptionValue): PathUse {
  const again = Number(fieldOf(value, "reconnect") ?? 0) > 0 ||
    Number(fieldOf(value, "reconnect-ms") ?? 0) > 0;
  const isClient = !isOn(fieldOf(value, "server"));
  return use("socket", { connects: isClient && !again, retries: isClient && again });
}

/** RAM in a file: of a huge page file system, or a file that QEMU creates. */
function memoryUse(value: OptionValue, path: string): PathUse {
  if (isOn(fieldOf(value, "readonly"))) return use("read-only");
  return /hugepages|hugetlbfs/.test(path) ? use("directory", { writable: true }) : use("output");
}

function mapCharacterDevice(
  value: OptionValue,
  { key, value: text }: OptionField,
  see: VisitPath,
): string {
  const { name, value: whole } = value.option;
  const backend = name === "chardev" ? fieldOf(value, "backend") : backendOf(whole ?? "");
  if (text === "") return text;
  if (key === "logfile") return see(text, use("output"));
  if (key === "input-path") return see(text, use("read-only"));
  if (key !== "path") return text;
  switch (backend) {
    case "socket":
    case "unix":
      return isOn(fieldOf(value, "abstract")) ? text : see(text, socketOf(value));
    case "serial":
    case "tty":
    case "parallel":
    case "parport":
    case "device":
      return see(text, use("device", { writable: true }));
    default:
      // `file`, the links of `pty`; the FIFOs of `pipe`, which is refused.
      return see(text, use("output"));
  }
}

function mapDrive(value: OptionValue, visit: VisitKey): OptionField[] {
  const { name } = value.option;
  if (name === "blockdev") return mapBlockFields(value.fields, use("image"), visit);
  const isCd = fieldOf(value, "media") === "cdrom";
  const readOnly = isOn(fieldOf(value, "readonly")) || isOn(fieldOf(value, "read-only")) || isCd;
  const image = use(readOnly ? "read-only" : "image");
  // `file` is a name with a protocol here; everything else is as in -blockdev.
  return mapBlockFields(value.fields, use(isCd ? "read-only" : "image"), visit).map((field) =>
    field.key !== "file" ? field : {
      ...field,
      value: mapImageName(field.value, image, (path, how) => visit(path, how, "file")),
    }
  );
}

/** `group.id.key=value` sets a key of an option. */
function mapSet(option: QemuOption, visit: VisitKey): QemuOption {
  const set = parseSet(option.value ?? "");
  if (set === null) return option;
  const { group, name, id, key } = set;
  const fields: OptionField[] = [{ key, value: set.value, style: "full" }];
  const [mapped] = mapFields({ option: { name, value: "" }, prefix: "", fields }, visit);
  return { ...option, value: `${group}.${id}.${key}=${mapped!.value}` };
}
