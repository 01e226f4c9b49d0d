/**
 * How the destination starts QEMU. Pure.
 *
 * @module
 */
import { changesUser } from "../command/mod.ts";
import type { LaunchStart } from "../../rpc/mod.ts";
import type { MachineDescription } from "../description.ts";
import type { LaunchHostFacts } from "./host_rules.ts";
import type { TranslatedMachine } from "./machine.ts";
import type { LaunchWishes } from "./wishes.ts";

/** What {@link startOf} is made from. */
export interface StartInput {
  readonly description: MachineDescription;
  readonly machine: TranslatedMachine;
  readonly wishes: LaunchWishes;
  readonly host: LaunchHostFacts;
  /** Working directory. */
  readonly cwd: string;
}

/** How QEMU is started, with this command line. */
export function startOf(
  { description, machine, wishes, host, cwd }: StartInput,
  argv: readonly string[],
): LaunchStart {
  const { environment, user, unit } = description.process;
  // With -runas QEMU opens everything as root first and changes its user by itself.
  const changes = changesUser(machine.command) !== null;
  const isOther = host.user.uid === 0 && user.uid !== 0;
  const named = { user: user.name, group: user.group };
  // The same kind of thing that it is at the source; a unit that starts at boot is systemd's.
  const hasUnit = unit !== null && unit.name.endsWith(".service");
  return {
    argv: [...argv],
    cwd,
    environment: { ...environment },
    // Where another command starts QEMU, the user is that of the images only.
    user: isOther && !changes && (!host.site || host.userProblem === null) ? named : null,
    owner: isOther && changes && host.userProblem === null ? named : null,
    qmp: machine.qmp,
    manager: host.systemd && (hasUnit || wishes.persist) ? "systemd" : "daemon",
    persist: wishes.persist,
  };
}
