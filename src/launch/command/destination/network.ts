/**
 * Interfaces of the host. Pure.
 *
 * @module
 */
import type { QemuCommand } from "../command.ts";
import { fieldOf, parseOption } from "../option_value.ts";
import type { Notes } from "./notes.ts";

/** Warns about interfaces and addresses that the destination must have. */
export function checkNetwork(command: QemuCommand, notes: Notes): QemuCommand {
  for (const option of command.options) {
    if (!["netdev", "nic", "net"].includes(option.name)) continue;
    const value = parseOption(option);
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
