import type { Phase } from "../../migrate/mod.ts";

/** Each phase in words. */
export const PHASES: Readonly<Record<Phase, string>> = {
  prepare: "preparing both ends",
  mirror: "copying disks",
  ram: "disks are in step, copying memory",
  switchover: "guest stopped, finishing disks and memory",
  handover: "handing the guest over",
  done: "the guest is at the destination",
};

/** A share in whole percent, rounded down: 100 % means all of it. */
export function percent(part: number, whole: number): string {
  return `${whole > 0 ? Math.floor(part / whole * 100) : 100} %`;
}
