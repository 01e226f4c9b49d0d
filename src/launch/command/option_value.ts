/**
 * Values of options: `key=value,...` (util/qemu-option.c, util/keyval.c), JSON, and the short forms of
 * character devices. An unchanged value is written byte for byte as it was. Pure.
 *
 * @module
 */
import { CommandLineError, type QemuOption } from "./command.ts";
import { splitCharacterDevice } from "./character_device.ts";
import { jsonFields, jsonString } from "./json_fields.ts";
import { OPTIONS } from "./option_table.ts";

/** A key with its value. */
export interface OptionField {
  /** As QEMU names it, dotted where it is nested: `file.filename`. Empty for plain text. */
  readonly key: string;
  /** Without escapes; `on` for a key without a value. */
  readonly value: string;
  /**
   * `full`: `key=value`. `implied`: the value alone, the first one's key is known. `flag`: the key
   * alone. `raw`: the rest of the text, in which a comma is a comma. `json`: a scalar in JSON.
   */
  readonly style: "full" | "implied" | "flag" | "raw" | "json";
}

/** A parsed value. */
export interface OptionValue {
  readonly option: QemuOption;
  /** What a short form of a character device begins with, such as `mon:unix:`; else empty. */
  readonly prefix: string;
  readonly fields: readonly OptionField[];
}

/** Options whose values may be JSON; QEMU reads `{` as text in any other one. */
const JSON_OPTIONS = ["audiodev", "blockdev", "compat", "device", "display", "netdev", "object"];

/**
 * Parses an option's value; one without a value has no fields.
 *
 * @throws {CommandLineError} for broken JSON.
 */
export function parseOption(option: QemuOption): OptionValue {
  try {
    return parseValue(option);
  } catch (error) {
    if (!(error instanceof CommandLineError)) throw error;
    throw new CommandLineError(`-${option.name}: ${error.message}`);
  }
}

function parseValue(option: QemuOption): OptionValue {
  const { name, value } = option;
  const rule = OPTIONS[name];
  if (value === null) return { option, prefix: "", fields: [] };
  if (rule?.syntax === "options") {
    const fields = value.startsWith("{") && JSON_OPTIONS.includes(name)
      ? parseJson(value)
      : parsePlain(value, rule.first ?? null);
    return { option, prefix: "", fields };
  }
  if (rule?.syntax !== "character-device") {
    return { option, prefix: "", fields: [{ key: "", value, style: "raw" }] };
  }
  const { prefix, first, rest, raw } = splitCharacterDevice(value);
  if (raw) return { option, prefix, fields: [{ key: first, value: rest, style: "raw" }] };
  return { option, prefix, fields: parsePlain(rest, first) };
}

/**
 * Parses JSON, as behind `json:` in an image's name.
 *
 * @throws {CommandLineError} for broken JSON.
 */
export function parseJson(text: string): OptionField[] {
  const scalars = jsonFields(text);
  checkCount(scalars.length);
  return scalars.map(({ key, value }) => ({ key, value, style: "json" }));
}

function parsePlain(text: string, first: string | null): OptionField[] {
  const fields: OptionField[] = [];
  for (let at = 0; at < text.length;) {
    checkCount(fields.length);
    const length = /^[^=,]*/.exec(text.slice(at))![0].length;
    const key = text.slice(at, at + length);
    if (text[at + length] === "=") {
      const [value, next] = valueAt(text, at + length + 1);
      fields.push({ key, value, style: "full" });
      at = next;
    } else if (at === 0 && first !== null) {
      const [value, next] = valueAt(text, 0);
      fields.push({ key: first, value, style: "implied" });
      at = next;
    } else {
      if (key === "") throw new CommandLineError("it has a key without a name");
      fields.push({ key, value: "on", style: "flag" });
      at += length + 1;
    }
  }
  return fields;
}

/** More keys than any option has; a destination parses what a source sends. */
const MAX_FIELDS = 4096;

function checkCount(count: number): void {
  if (count <= MAX_FIELDS) return;
  throw new CommandLineError(`it has more than ${MAX_FIELDS} keys`);
}

/** The value from `at` to the next single comma, and where the next key begins. */
function valueAt(text: string, at: number): [value: string, next: number] {
  const raw = /^(?:[^,]|,,)*/.exec(text.slice(at))![0];
  return [raw.replaceAll(",,", ","), at + raw.length + 1];
}

/** The text of a value; empty for an option without one. */
export function writeOption(value: OptionValue): string {
  const { option, prefix, fields } = value;
  if (option.value === null) return "";
  const before = parseOption(option);
  // A comma at the end and the spaces of JSON are in the text only.
  if (before.prefix === prefix && same(before.fields, fields)) return option.value;
  return prefix + writeFields(option.value.slice(before.prefix.length), fields);
}

/**
 * Writes fields. Those of JSON are put into `text`, from which they were parsed, by their positions.
 */
export function writeFields(text: string, fields: readonly OptionField[]): string {
  if (fields.some(({ style }) => style === "json")) return writeJson(text, fields);
  return fields.map(({ key, value, style }) => {
    const escaped = value.replaceAll(",", ",,");
    if (style === "raw") return value;
    if (style === "flag" && value === "on") return key;
    // A "=" before any comma would make the beginning a key.
    if (style === "implied" && !/^[^,]*=/.test(value)) return escaped;
    return `${key}=${escaped}`;
  }).join(",");
}

function writeJson(text: string, fields: readonly OptionField[]): string {
  let written = "";
  let at = 0;
  for (const [i, { value, start, end }] of jsonFields(text).entries()) {
    const changed = fields[i]!.value;
    written += text.slice(at, start) +
      (changed === value ? text.slice(start, end) : jsonString(changed));
    at = end;
  }
  return written + text.slice(at);
}

function same(a: readonly OptionField[], b: readonly OptionField[]): boolean {
  return a.length === b.length &&
    a.every(({ key, value, style }, i) =>
      key === b[i]!.key && value === b[i]!.value && style === b[i]!.style
    );
}

/** The option with another value. */
export function withFields(value: OptionValue, fields: readonly OptionField[]): QemuOption {
  if (value.option.value === null) return value.option;
  return { ...value.option, value: writeOption({ ...value, fields }) };
}

/** The last value of a key, as QEMU takes it; `nowait` is `wait=off`. */
export function fieldOf(value: OptionValue, key: string): string | undefined {
  const field = value.fields.findLast((f) =>
    f.key === key || (f.style === "flag" && f.key === `no${key}`)
  );
  return field && field.key !== key ? "off" : field?.value;
}

/** Every value of a key: where one of them decides about safety, QEMU's choice is not relied upon. */
export function fieldsOf(value: OptionValue, key: string): string[] {
  return value.fields.filter((f) => f.key === key).map((f) => f.value);
}

/** A key that says yes. */
export function isOn(value: string | undefined): boolean {
  return value === "on" || value === "yes" || value === "true" || value === "y";
}
