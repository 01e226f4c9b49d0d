/**
 * Settings that a monitor has made and that neither the command line nor the migration carries over. Pure.
 *
 * @module
 */
import { fieldOf, isOn } from "../command/mod.ts";
import type { GivenOptions } from "./given.ts";
import type { MachineState } from "./machine_state.ts";

const LIMIT = /^(throttling\.|iops|bps)/;

/** Warnings about limits on a disk's I/O that the command line does not have. */
export function limitsOf(
  { blocks, disks }: Pick<MachineState, "blocks" | "disks">,
  given: GivenOptions,
): string[] {
  return blocks.flatMap(({ device, inserted }) => {
    const limits = [
      ...[inserted?.iops, inserted?.iops_rd, inserted?.iops_wr],
      ...[inserted?.bps, inserted?.bps_rd, inserted?.bps_wr],
    ];
    const name = disks.find(({ nodeName }) => nodeName === inserted?.["node-name"])?.name;
    const drive = given.drives.get(device);
    if (name === undefined || !limits.some((limit) => (limit ?? 0) > 0)) return [];
    if (drive?.value.fields.some(({ key }) => LIMIT.test(key))) return [];
    return [
      `disk ${name} has I/O limits that were set while the guest ran (block_set_io_throttle): set ` +
      "them again at the destination",
    ];
  });
}

/** Warnings about passwords of displays, which only a monitor can set and QEMU does not show. */
export function passwordsOf({ all }: Pick<GivenOptions, "all">): string[] {
  return all.flatMap(({ value }) => {
    const { name } = value.option;
    const isVnc = name === "vnc" && isOn(fieldOf(value, "password"));
    const isSpice = name === "spice" && !isOn(fieldOf(value, "disable-ticketing")) &&
      fieldOf(value, "password") === undefined && fieldOf(value, "password-secret") === undefined;
    if (!isVnc && !isSpice) return [];
    const what = isVnc ? "VNC" : "SPICE";
    return [`the ${what} password stays behind: set it at the destination (set_password)`];
  });
}
