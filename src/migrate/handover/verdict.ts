/**
 * What is to be done with a guest whose migration was cut off, from what was written down and what
 * is known, and in which order it is done. Pure; `recover` carries it out, tests/migrate/handover/model/
 * explores it.
 *
 * @module
 */
import type { DestinationState } from "./states.ts";
import { type SourceState, wordOf } from "./states.ts";

/** What an end that recovers does with the guest in its QEMU. */
export type Verdict =
  /** It is ours: it runs (or stands) as before the migration; everything that was begun is undone. */
  | "run-here"
  /** It is here and runs, or is to stand: nothing is done to it; what was begun is undone. */
  | "keep"
  /** It is the destination's: here it stays stopped. */
  | "leave"
  /** It must never run here: QEMU is ended. */
  | "discard"
  /** It may run at the other end: nothing is done without the user's word. */
  | "ask";

/** What recover does on either side. */
export type RecoverAction =
  /** Undoes what the killed process had begun, its migration of RAM among it. */
  | "undo"
  /** Lets the guest run, where it is to. */
  | "qemu cont"
  /** Ends QEMU. */
  | "qemu quit"
  /** Removes the record and the rest of the run directory, where nothing is left to be done. */
  | "forget";

/** What follows from each verdict, in this order. The record goes last: a killed recover is repeated. */
export const RECOVER_LISTS: Readonly<Record<Verdict, readonly RecoverAction[]>> = {
  "run-here": ["undo", "qemu cont", "forget"],
  keep: ["undo", "forget"],
  leave: ["undo", "forget"],
  discard: ["undo", "qemu quit", "forget"],
  ask: [],
};

export interface SourceFacts {
  /** QEMU runs the guest. */
  readonly runs: boolean;
  /** What the source's journal says. */
  readonly journal: SourceState;
  /** What the destination answered when it was asked; `undefined`: it was not, or did not answer. */
  readonly destination: DestinationState | undefined;
  /** The user's word that the guest does not run and never will at the destination. */
  readonly force: boolean;
}

/** What a source does whose tool was killed. */
export function sourceVerdict({ runs, journal, destination, force }: SourceFacts): Verdict {
  // Somebody has resumed the guest, or it was never paused.
  if (runs) return "keep";
  switch (journal) {
    // `finish` was never sent, and without it no destination starts a guest.
    case "prepare":
    case "mirror":
    case "ram":
    case "switchover":
    case "undone":
      return "run-here";
    case "done":
      return "leave";
    // The guest ran there: what it did since then is lost, where it is gone for good.
    case "postcopy":
      if (destination === "finished") return "leave";
      // Its word that the guest is there is more than the user's.
      if (destination === "postcopy") return "ask";
      return force ? "run-here" : "ask";
    case "handover":
    case "unknown": {
      const word = destination === undefined ? undefined : wordOf(destination);
      if (word === "answered") return "leave";
      // Both ends have to go on together, by --resume.
      if (word === "ram-left") return "ask";
      return word === "denied" || force ? "run-here" : "ask";
    }
  }
}

export interface DestinationFacts {
  /** What the destination's journal says. */
  readonly journal: DestinationState;
  /** QEMU runs the guest. */
  readonly runs: boolean;
  /** QEMU has all of the guest in it, or all but a part of its RAM. */
  readonly complete: boolean;
  /** QEMU is in post-copy: a part of the guest's RAM is at the source. */
  readonly ramLeft: boolean;
  /** The user's word that the guest does not run and never will at the source. */
  readonly force: boolean;
}

/** What a destination does whose tool was killed. */
export function destinationVerdict(facts: DestinationFacts): Verdict {
  const { journal, runs, complete, ramLeft, force } = facts;
  // Both ends have to go on together, by --resume.
  if (ramLeft && (runs || ["starting", "postcopy", "lost"].includes(journal))) return "ask";
  // QEMU 7.2 does not say "postcopy" while it waits for its stream again.
  if (journal === "postcopy" && !complete) return "ask";
  if (runs) return "keep";
  switch (journal) {
    case "postcopy":
    case "finished":
      return "keep";
    // QEMU may have come further than was written down.
    case "waiting":
    case "prepared":
    case "loading":
    case "failed":
      return complete ? "discard" : "keep";
    case "loaded":
      return force && !ramLeft ? "run-here" : "discard";
    case "lost":
      if (!complete) return "keep";
      return force ? "run-here" : "ask";
    case "starting":
      return force ? "run-here" : "ask";
  }
}
