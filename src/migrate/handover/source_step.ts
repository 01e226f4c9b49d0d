/**
 * The source's side as data: for each state and event what is done, in this order. Pure; the driver
 * carries it out, tests/migrate/handover/model/ interprets the same lists.
 *
 * @module
 */
import type { Lists, StateAction, Step } from "./action.ts";
import { SOURCE, type SourceEvent, type SourceState } from "./states.ts";

/** What the source does beside the journal, by the kind of thing that it acts on. */
export type SourceEffect =
  /** Opens RAM's stream: the destination's QEMU is given its one incoming migration. */
  | "call stream"
  /** Asks the destination to load the rest; the next action does not wait. */
  | "call load"
  /** Waits for the answer to `load`. */
  | "wait load"
  /** Asks the destination to run the guest until there is a word on it (ask.ts). */
  | "call finish"
  /** Lets the destination know that this end has heard its word. */
  | "call status"
  /** Joins both QEMUs again, where they are not, until the rest of RAM crosses (post-copy). */
  | "call recover"
  /** Has the destination undo what it prepared; begun as soon as there is a cause. */
  | "call abort"
  /** Every mirror is still connected and ready. */
  | "qemu mirrors-ready"
  /** Starts the migration of RAM. */
  | "qemu migrate"
  /** Ends every mirror, which is ready; the next action does not wait. */
  | "qemu end-mirrors"
  /** Waits until every mirror has ended without an error, on the machine of before. */
  | "wait mirrors"
  /**
   * With `--verify`: compares what was written last at both ends, and removes from QEMU what it was read through.
   */
  | "compare disks"
  /** Lets QEMU give everything away, and waits for it. */
  | "qemu migrate-continue"
  /** Removes the mirrors' jobs and nodes. */
  | "qemu remove-mirrors"
  /** Ends QEMU, where that is wanted. */
  | "qemu quit"
  /** Resumes the guest here, if it ran before. */
  | "qemu cont"
  /** Undoes everything in QEMU and on this host: the sockets, the migration of RAM, the settings, the mirrors. */
  | "undo"
  /** Has the destination undo the rest, and ends the session. May wait for a connection that is down. */
  | "undo there"
  /** Writes down what could not be undone, where there is such a thing. */
  | "note left"
  | "report mirror"
  | "report ram"
  | "report switchover"
  | "report handover"
  | "report postcopy"
  | "report done";

export type SourceAction = StateAction<SourceState> | SourceEffect;

/** Of a migration that was not handed over: the guest is ours. */
const GIVE_UP = [
  "call abort",
  "enter",
  // A source that resumes a journal which says `handover` asks for the guest to be run there.
  "withdraw undone",
  // QEMU does not resume the guest before its migration is over.
  "undo",
  "qemu cont",
  "note left",
  // The guest does not wait for a connection that is down.
  "undo there",
] as const;

/** Of a guest that is the destination's. */
const LEAVE = [
  "try to write done",
  "qemu remove-mirrors",
  "undo",
  "undo there",
  "note left",
  "qemu quit",
  "report done",
] as const;

export const SOURCE_LISTS = {
  prepare: { prepared: ["write mirror", "enter", "report mirror"], fault: GIVE_UP },
  mirror: {
    ready: [
      "call stream",
      "qemu mirrors-ready",
      // Once RAM has begun to cross, no other process can go on with it.
      "write ram",
      "enter",
      "report ram",
      "qemu migrate",
    ],
    fault: GIVE_UP,
  },
  ram: {
    stopped: [
      // The guest is paused: QEMU gets its command before anything is written.
      "qemu end-mirrors",
      "enter",
      // It leads to the same as `ram`, so the disks need not wait for it.
      "begin to write switchover",
      "report switchover",
      // The last write of the guest is at the destination before its disks are given away.
      "wait mirrors",
      // Neither end writes any more, and the destination has not stopped its NBD server yet.
      "compare disks",
      "call load",
      "qemu migrate-continue",
      "wait load",
    ],
    fault: GIVE_UP,
  },
  switchover: {
    crossed: [
      // It must not come to stand behind the next one.
      "written",
      // From the moment that this is written down, only the destination's word brings the guest back.
      "write handover",
      "enter",
      "report handover",
      "call finish",
    ],
    fault: GIVE_UP,
  },
  handover: {
    // Of a process that resumes.
    crossed: ["call finish"],
    answered: ["enter", ...LEAVE],
    // A source that resumes `handover` asks, and hears the same.
    "ram-left": ["enter", "try to write postcopy", "report postcopy"],
    denied: ["enter", "try to write undone", "undo", "qemu cont", "note left", "undo there"],
    silence: ["enter", "try to write unknown", "undo", "undo there"],
  },
  postcopy: {
    broken: ["call recover"],
    "ram-crossed": ["enter", ...LEAVE],
  },
  done: { answered: ["call status", ...LEAVE] },
  undone: { fault: ["undo", "qemu cont", "note left", "undo there"] },
  unknown: {},
} as const satisfies Lists<SourceState, SourceEvent, SourceAction>;

/** What follows from an event; `undefined` where the state does not know it. */
export function sourceStep(
  state: SourceState,
  event: SourceEvent,
): Step<SourceState, SourceAction> | undefined {
  const to = SOURCE[state][event];
  const lists: Lists<SourceState, SourceEvent, SourceAction> = SOURCE_LISTS;
  return to && { to, actions: lists[state][event] ?? [] };
}
