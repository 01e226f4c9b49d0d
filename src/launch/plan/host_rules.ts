/**
 * Rules on the destination's host and its QEMU. Pure.
 *
 * @module
 */
import { optionsMissingIn, type QemuCommand } from "../command/mod.ts";
import type { Collected } from "../../migrate/mod.ts";
import type { Result } from "../../rpc/mod.ts";
import type { MachineDescription } from "../description.ts";
import type { LaunchWishes } from "./wishes.ts";

/** The destination's answer to `describeLaunchHost`. */
export type LaunchHostFacts = Result<"describeLaunchHost">;

/** What the machine needs of its host. */
export interface HostNeeds {
  readonly description: MachineDescription;
  /** The command line for the destination. */
  readonly command: QemuCommand;
  /** As `uname -m` prints it at the source; empty where unknown. */
  readonly architecture: string;
  readonly wishes: LaunchWishes;
  /** Images are created. */
  readonly createsImages: boolean;
}

/** Judges the destination's host. */
export function judgeHost(needs: HostNeeds, host: LaunchHostFacts, found: Collected): void {
  const { architecture, wishes, createsImages } = needs;
  const problem = (code: "launch-not-served" | "host-unfit", message: string) =>
    found.problem("destination", code, message);
  if (host.refusal !== null) problem("launch-not-served", host.refusal);
  if (architecture !== "" && host.architecture !== architecture) {
    problem(
      "host-unfit",
      `${host.hostname} is a ${host.architecture}, the source is a ${architecture}: expected a host of the same ` +
        "CPU architecture",
    );
    return;
  }
  if (host.site === null) judgeQemu(needs, host, found);
  else if (wishes.persist) {
    problem(
      "host-unfit",
      "a command of its own starts QEMU there, which also starts the guest at boot. Leave out --persist",
    );
  }
  if (createsImages && host.qemuImg === null) {
    problem(
      "host-unfit",
      "there is no qemu-img, which creates the images. Install it (package qemu-utils)",
    );
  }
  if (wishes.persist && !host.systemd && host.site === null) {
    problem("host-unfit", "systemd does not run there, which --persist needs. Leave out --persist");
  }
  if (host.userProblem !== null && host.site === null) problem("host-unfit", host.userProblem);
}

function judgeQemu(
  { description, command, wishes }: HostNeeds,
  host: LaunchHostFacts,
  found: Collected,
): void {
  const { process, facts } = description;
  const name = process.binary.slice(process.binary.lastIndexOf("/") + 1);
  const problem = (message: string) => found.problem("destination", "host-unfit", message);
  if (host.qemu === null) {
    problem(`there is no ${name}. Install QEMU ${facts.version} or later`);
    return;
  }
  const { path, version, hasMachine } = host.qemu;
  if (isOlder(version, facts.version) && !wishes.allow.includes("older-qemu")) {
    problem(
      `${path} is QEMU ${version}, older than the source's ${facts.version}: QEMU promises the other direction ` +
        "only. Install a newer one, or add --allow older-qemu",
    );
  }
  for (const { option, instead } of optionsMissingIn(command, version)) {
    problem(
      `${path} is QEMU ${version}, which does not have ${option}. Give --qemu-command a command line without it` +
        (instead === null ? "" : `, with ${instead} in its place`),
    );
  }
  if (hasMachine === false) {
    problem(
      `${path} (QEMU ${version}) has no machine type ${facts.machineType}. Install QEMU ${facts.version} or ` +
        "later",
    );
  }
}

/** Whether the first version is older by its first two numbers. */
function isOlder(a: string, b: string): boolean {
  const [x, y] = [a, b].map((version) => version.split(".").slice(0, 2).map(Number));
  const [x0 = NaN, x1 = 0] = x!;
  const [y0 = NaN, y1 = 0] = y!;
  return x0 < y0 || (x0 === y0 && x1 < y1);
}
