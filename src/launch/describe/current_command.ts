import type { QemuCommand } from "../command/mod.ts";
import type { MachineFacts } from "../description.ts";

/**
 * The command line that starts the machine as it is now: without the options of what was removed, with
 * those that changed in their new form, and with the options of what was added at the end. Pure.
 *
 * @param flat names of the images that arrive without those below them.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { currentCommand } from "./current_command.ts";
 *
 * const command = { binary: "qemu", options: [{ name: "cdrom", value: "old.iso" }] };
 * const changed = [{ index: 0, option: { name: "cdrom", value: "new.iso" } }];
 * const added = [["device", "usb-tablet"]] as const;
 * assertEquals(currentCommand(command, { added, changed }).options, [
 *   { name: "cdrom", value: "new.iso" },
 *   { name: "device", value: "usb-tablet" },
 * ]);
 * ```
 */
export function currentCommand(
  command: QemuCommand,
  { added, changed, flat: below = {} }:
    & Pick<MachineFacts, "added" | "changed">
    & Partial<MachineFacts>,
  flat: readonly string[] = [],
): QemuCommand {
  const all = [...flat.flatMap((name) => below[name] ?? []), ...changed];
  const changes = new Map(all.map(({ index, option }) => [index, option]));
  const options = command.options.flatMap((option, i) => {
    const now = changes.has(i) ? changes.get(i)! : option;
    return now === null ? [] : [now];
  });
  return {
    binary: command.binary,
    options: [...options, ...added.map(([name, value]) => ({ name, value }))],
  };
}
