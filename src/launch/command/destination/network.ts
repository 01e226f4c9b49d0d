/**
 * Interfaces and addresses of the host. Pure.
 *
 * @module
 */
import type { QemuCommand, QemuOption } from "../command.ts";
import { backendOf } from "../character_device.ts";
import { OPTIONS } from "../option_table.ts";
import { fieldOf, isOn, type OptionValue, parseOption } from "../option_value.ts";
import type { Notes } from "./notes.ts";

/** Warns about interfaces and addresses that the destination must have. */
export function checkNetwork(command: QemuCommand, notes: Notes): QemuCommand {
  for (const option of command.options) {
    const value = parseOption(option);
    checkAddress(option, value, notes);
    if (!["netdev", "nic", "net"].includes(option.name)) continue;
    const ifname = fieldOf(value, "ifname");
    switch (fieldOf(value, "type")) {
      case "tap": {
        const script = fieldOf(value, "script");
        if (ifname === undefined || (script !== "no" && script !== "")) break;
        notes.warning(
          option,
          `no script connects ${ifname}: create it on the destination and connect it to the network`,
        );
        break;
      }
      case "af-xdp":
      case "netmap":
        notes.warning(
          option,
          `the destination needs the interface ${ifname ?? "of this name"}, too`,
        );
        break;
      case "l2tpv3":
        notes.warning(option, `the destination needs the address ${fieldOf(value, "src")}, too`);
        break;
    }
  }
  return command;
}

/** Addresses that every host has. */
const EVERYWHERE = /^(?:|0\.0\.0\.0|\[?::\]?|\*|localhost|127\..*|\[?::1\]?|unix:.*)$/s;
const OWN = /^(?:localhost|127\..*|\[?::1\]?)$/;

function checkAddress(option: QemuOption, value: OptionValue, notes: Notes): void {
  const at = addressOf(option, value);
  if (at === null) return;
  if (at.listens && !EVERYWHERE.test(at.host)) {
    notes.warning(
      option,
      `QEMU listens at ${at.host}; the destination must have this address, too`,
    );
  } else if (!at.listens && OWN.test(at.host)) {
    notes.warning(
      option,
      `another process must listen at ${at.host} on the destination; start that process there first`,
    );
  }
}

/** The address at which an option listens or to which it connects, if it is one of TCP. */
function addressOf(
  option: QemuOption,
  value: OptionValue,
): { host: string; listens: boolean } | null {
  switch (option.name) {
    case "vnc":
      return listening(fieldOf(value, "vnc"));
    case "spice":
      return isOn(fieldOf(value, "unix"))
        ? null
        : { host: fieldOf(value, "addr") ?? "", listens: true };
    case "chardev":
      if (fieldOf(value, "backend") !== "socket") return null;
      return reconnects(value) || fieldOf(value, "path") !== undefined
        ? null
        : { host: fieldOf(value, "host") ?? "", listens: isOn(fieldOf(value, "server")) };
  }
  if (OPTIONS[option.name]?.syntax !== "character-device" || option.name === "gdb") return null;
  if (!["tcp", "telnet", "tn3270", "websocket"].includes(backendOf(option.value!))) return null;
  const listens = isOn(fieldOf(value, "server"));
  const host = /^(.*):[^:]*$/s.exec(fieldOf(value, "address") ?? "")?.[1] ?? "";
  return reconnects(value) ? null : { host, listens };
}

function listening(text: string | undefined): { host: string; listens: boolean } | null {
  const host = /^(.*):\d+$/s.exec(text ?? "")?.[1];
  return host === undefined ? null : { host, listens: true };
}

function reconnects(value: OptionValue): boolean {
  return fieldOf(value, "reconnect") !== undefined || fieldOf(value, "reconnect-ms") !== undefined;
}
