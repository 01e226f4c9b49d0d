/**
 * Short forms of character devices, as -serial, -monitor or -qmp take them (chardev/char.c,
 * `qemu_chr_parse_compat`). Pure.
 *
 * @module
 */

/** The parts of a short form. */
export interface ShortForm {
  /** Such as `mon:unix:`; empty for a bare word. */
  readonly prefix: string;
  /** The key that the first value behind it has. */
  readonly first: string;
  /** The text behind the prefix. */
  readonly rest: string;
  /** A comma in the rest is a comma. */
  readonly raw: boolean;
}

/** Backends with options behind the first value. */
const WITH_OPTIONS: Readonly<Record<string, string>> = {
  "unix": "path",
  "tcp": "address",
  "telnet": "address",
  "tn3270": "address",
  "websocket": "address",
  "udp": "address",
};
/** Backends whose path is the whole rest. */
const WITH_PATH = ["file", "pipe", "pty"];

/** Splits a short form. */
export function splitCharacterDevice(value: string): ShortForm {
  const mux = value.startsWith("mon:") ? "mon:" : "";
  const text = value.slice(mux.length);
  const kind = /^([a-z0-9]+):/.exec(text)?.[1];
  if (kind !== undefined && Object.hasOwn(WITH_OPTIONS, kind)) {
    const prefix = `${mux}${kind}:`;
    return { prefix, first: WITH_OPTIONS[kind]!, rest: value.slice(prefix.length), raw: false };
  }
  if (kind !== undefined && WITH_PATH.includes(kind)) {
    const prefix = `${mux}${kind}:`;
    return { prefix, first: "path", rest: value.slice(prefix.length), raw: true };
  }
  if (text.startsWith("/dev/")) return { prefix: mux, first: "path", rest: text, raw: true };
  return { prefix: mux, first: "backend", rest: text, raw: true };
}

/** The backend of a short form: `unix`, `tcp`, `file`, `stdio`, `device` for a path, `vc`, ... */
export function backendOf(value: string): string {
  const { prefix, first, rest } = splitCharacterDevice(value);
  const kind = prefix.replace(/^mon:/, "").replace(/:$/, "");
  if (kind !== "") return kind;
  return first === "path" ? "device" : rest.replace(/[:,].*$/s, "");
}
