/**
 * What must hold in every world, whatever happened before.
 *
 * @module
 */
import { isInPostcopy } from "./postcopy.ts";
import { isMigrating } from "./source_qemu.ts";
import type { Step, World } from "./world.ts";

export interface Rule {
  readonly rule: string;
  /** @param next everything that can happen in this world. */
  readonly isBroken: (world: World, next: readonly Step[]) => boolean;
}

export const RULES: readonly Rule[] = [
  {
    rule: "the two QEMUs never both run the guest (rule 1)",
    isBroken: ({ source, destination }) =>
      source.qemu === "running" && destination.qemu === "running",
  },
  {
    rule: "once the source runs the guest again, nothing can make the destination run it",
    isBroken: ({ source }, next) =>
      source.qemu === "running" && next.some(({ to }) => to.destination.qemu === "running"),
  },
  {
    rule:
      "after finish was sent the source runs the guest only if the destination never will (rule 3)",
    isBroken: ({ finishSent, source, destination }) =>
      finishSent && source.qemu === "running" && destination.tool === "up" &&
      destination.state !== "failed",
  },
  {
    rule:
      "a migration that ends before finish was sent leaves the guest running at the source (rule 2)",
    isBroken: ({ finishSent, source }) =>
      !finishSent && source.tool === "over" && source.qemu === "stopped",
  },
  {
    rule:
      "where nothing can happen any more, one guest runs, or the source says that it does not know",
    isBroken: ({ source, destination, guestEnded, broken }, next) =>
      next.length === 0 && broken === "" && !guestEnded && source.qemu !== "running" &&
      !(destination.qemu === "running" && destination.whole) &&
      (source.tool !== "dead" || source.journal === null),
  },
  {
    rule: "once the destination has run the guest, the source never runs it again",
    isBroken: ({ source, ranThere }) => ranThere && source.qemu === "running",
  },
  {
    rule: "neither side forgets a guest whose RAM is not all at the destination",
    isBroken: ({ source, destination }) =>
      !destination.whole &&
      (destination.journal === null && destination.qemu === "running" ||
        source.journal === null && source.qemu === "stopped" && isInPostcopy(source)),
  },
  {
    rule: "nobody forgets a guest that stands loaded at the destination",
    isBroken: ({ destination }) => destination.journal === null && destination.qemu === "loaded",
  },
  {
    rule: "nobody forgets a migration that goes on in the source's QEMU",
    isBroken: ({ source }) => source.journal === null && isMigrating(source),
  },
  {
    rule: "what is said is written down, disks and QEMUs are given away in time",
    isBroken: ({ broken }) => broken !== "",
  },
];

/** What can still be brought about, in every world that this is about. */
export const HOPE = {
  rule: "both tools can always bring the rest of RAM to a guest that runs, while both QEMUs live",
  applies: ({ source, destination }: World): boolean =>
    // A QEMU that was silent for too long is given up: only the user knows more.
    destination.qemu === "running" && !destination.whole && isInPostcopy(source) &&
    destination.state !== "lost" && destination.writing !== "lost",
  isReached: ({ destination }: World): boolean =>
    destination.qemu === "running" && destination.whole,
} as const;
