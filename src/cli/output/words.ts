import type { Phase } from "../../migrate/mod.ts";

/** Each phase, for people. */
export const PHASES: Readonly<Record<Phase, string>> = {
  launch: "checking both hosts, then building the destination",
  prepare: "preparing both sides",
  mirror: "copying disks",
  ram: "disks are ready, copying RAM",
  switchover: "guest paused, finishing disks and RAM",
  handover: "handing the guest over",
  done: "the guest is at the destination",
};

/** A share in whole percent, rounded down: 100 % means all of it. */
export function percent(part: number, whole: number): string {
  return `${whole > 0 ? Math.floor(part / whole * 100) : 100} %`;
}
