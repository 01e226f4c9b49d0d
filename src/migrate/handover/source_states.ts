/**
 * The source's side as a table: what may follow what. Pure; `SourceMigration` carries it out, and
 * tests/migrate/handover/model_test.ts explores it together with the destination's.
 *
 * @module
 */
import type { Transitions } from "../../io/mod.ts";
import type { DestinationState } from "./destination_states.ts";

/** Where the source's side is; also what its journal says. */
export type SourceState =
  /** Both ends are looked at, the destination makes ready. */
  | "prepare"
  /** The disks are copied. */
  | "mirror"
  /** The memory is copied, the guest still runs. */
  | "ram"
  /** The guest stands still here, its last bytes cross. */
  | "switchover"
  /** The destination may have been told to run the guest: here it must not run. */
  | "handover"
  /** It is the destination's. */
  | "done"
  /** Nothing came of it: it is ours. */
  | "undone"
  /** No word could be had: here it must not run. */
  | "unknown";

export type SourceEvent =
  /** The destination has exported its disks, and they are the right ones. */
  | "prepared"
  /** Every mirror is ready. */
  | "ready"
  /** QEMU has stopped the guest for the switchover. */
  | "stopped"
  /** Mirrors concluded, both QEMUs said completed; written down that `finish` may go out. */
  | "crossed"
  /** The destination said that it has the guest. */
  | "answered"
  /** The destination said that it has not run the guest and never will. */
  | "denied"
  /** The destination was asked as long as makes sense. */
  | "silence"
  /** Anything else that went wrong, on either side or between. */
  | "fault";

export const SOURCE: Transitions<SourceState, SourceEvent> = {
  prepare: { prepared: "mirror", fault: "undone" },
  mirror: { ready: "ram", fault: "undone" },
  ram: { stopped: "switchover", fault: "undone" },
  switchover: { crossed: "handover", fault: "undone" },
  // From here on there is no way back but the destination's own word.
  handover: { answered: "done", denied: "undone", silence: "unknown", fault: "handover" },
  done: { fault: "done" },
  undone: { fault: "undone" },
  unknown: { fault: "unknown" },
};

/** What the destination's answer to `status` means to a source that has handed the guest over. */
export function wordOf(state: DestinationState): SourceEvent | "finish-again" | "ask-again" {
  switch (state) {
    case "finished":
      return "answered";
    case "failed":
      return "denied";
    case "loaded":
    case "starting":
      return "finish-again";
    case "lost":
      return "silence";
    // A receive that knows nothing of this guest; the one that does may still answer.
    case "waiting":
    case "prepared":
    case "loading":
      return "ask-again";
  }
}

/** Where a process goes on that takes up what another one wrote down: only where that can't do harm. */
export function resumedAt(journal: SourceState): SourceState {
  switch (journal) {
    case "prepare":
    case "mirror":
      return journal;
    // The memory's stream can't be taken up, and nothing was handed over.
    case "ram":
    case "switchover":
    case "undone":
      return "undone";
    case "handover":
    case "unknown":
      return "handover";
    case "done":
      return "done";
  }
}
