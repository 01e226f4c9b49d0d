import { formatSize } from "../args/size.ts";
import type { DiskProgress, Phase, RamProgress } from "../../migrate/mod.ts";

/** Each phase, for people. */
export const PHASES: Readonly<Record<Phase, string>> = {
  waiting: "waiting until other migrations of this host have ended",
  launch: "checking both hosts, then building the destination",
  prepare: "preparing both sides",
  copy: "copying images",
  mirror: "copying disks",
  verify: "all is copied, comparing both ends",
  ram: "disks are ready, copying RAM",
  switchover: "guest paused, finishing disks and RAM",
  handover: "handing the guest over",
  postcopy: "the guest runs at the destination, copying the rest of its RAM",
  done: "the guest is at the destination",
};

/** A share in whole percent, rounded down: 100 % means all of it. */
export function percent(part: number, whole: number): string {
  return `${whole > 0 ? Math.floor(part / whole * 100) : 100} %`;
}

/** How much QEMU slows the guest down; empty where the guest does not feel it. */
export function throttled({ throttlePercent = 0 }: RamProgress): string {
  return throttlePercent > 1 ? `, guest throttled by ${throttlePercent} %` : "";
}

/** What else there is to say of a disk; mostly empty. */
export function details(disk: DiskProgress): string {
  const { skipped, verified = 0 } = disk;
  // With `--delta`.
  const there = skipped === undefined ? "" : `, ${formatSize(skipped)} not sent: they were there`;
  // With `--verify`.
  const same = verified > 0 ? `, ${formatSize(verified)} compared` : "";
  return there + same + waiting(disk);
}

/** How long the guest's writes take that wait for the destination; empty where they do not wait. */
function waiting({ copyMode, writeMs }: DiskProgress): string {
  if (copyMode === undefined) return "";
  return writeMs === undefined
    ? ", writes wait for the destination"
    : `, writes wait for the destination: ${writeMs.toFixed(writeMs < 10 ? 1 : 0)} ms each`;
}

/** How well the tunnel compressed, if it did. */
export function compressed({ compression }: { readonly compression?: number }): string {
  return compression === undefined ? "" : ` (compressed to ${Math.round(compression * 100)} %)`;
}
