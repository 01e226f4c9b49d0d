/**
 * File descriptors that QEMU inherited. Pure.
 *
 * @module
 */
import type { QemuCommand } from "../command.ts";
import { parseOption } from "../option_value.ts";
import { mapOptionPaths } from "../path_places.ts";
import type { Notes } from "./notes.ts";

/** Keys whose value is a descriptor, or a list of them. */
const KEYS = /^(?:fd|fds|vhostfd|vhostfds|sock-fds|ebpf[-_]rss[-_]fds|inhibit-fds)$/;
/** Paths that stand for a descriptor of the process that opens them. */
const PATHS = /^\/dev\/(?:fdset|fd)\/|^\/proc\/[^/]+\/fd\/|^\/dev\/std(?:in|out|err)$/;

const INSTEAD: Readonly<Record<string, string>> = {
  netdev: "let QEMU open the interface by ifname= and script=, or by -netdev bridge,br=",
  nic: "let QEMU open the interface by ifname= and script=, or by -nic bridge,br=",
  net: "let QEMU open the interface by ifname= and script=, or by -netdev bridge,br=",
  chardev: "let QEMU open the socket by its path",
};

/** Reports the options that use a file descriptor which the program that started QEMU passed to it. */
export function checkDescriptors(command: QemuCommand, notes: Notes): QemuCommand {
  for (const option of command.options) {
    if (option.name === "add-fd") continue;
    const instead = INSTEAD[option.name] ?? "let QEMU open the file by its path";
    const report = (what: string) =>
      notes.problem(
        option,
        `QEMU inherited ${what}, which only exists on the source host. In a command line for ` +
          `--qemu-command, ${instead}`,
      );
    for (const { key, value, style } of parseOption(option).fields) {
      if (style === "raw") continue;
      const last = key.slice(key.lastIndexOf(".") + 1).replace(/\.?\d+$/, "");
      if (KEYS.test(last)) report(`the file descriptor ${value}`);
      else if (last === "type" && key !== "type" && value === "fd") report("a file descriptor");
    }
    mapOptionPaths(option, (path) => {
      if (PATHS.test(path)) report(path);
      return path;
    });
  }
  return command;
}
