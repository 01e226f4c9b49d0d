/**
 * The destination's side as data: for each state and event what is done, in this order. Pure; the
 * driver carries it out, tests/migrate/handover/model/ interprets the same lists.
 *
 * @module
 */
import type { Lists, StateAction, Step } from "./action.ts";
import { DESTINATION, type DestinationEvent, type DestinationState } from "./states.ts";

/** What the destination does beside the journal, by the kind of thing that it acts on. */
export type DestinationEffect =
  /** Writes down that QEMU is given its one incoming migration; a failure fails the step. */
  | "note incoming"
  /** Gives QEMU its one incoming migration. */
  | "qemu migrate-incoming"
  /** Stops the NBD server and waits until QEMU can run the guest: it has loaded all of it but RAM that crosses later. */
  | "qemu load"
  /** Has QEMU run the guest, and waits until it says so; looks at one that is to stay paused. */
  | "qemu cont"
  /** Ends a QEMU that has all of the guest: it must never run there. */
  | "qemu discard"
  /** Undoes everything: exports, NBD server, sockets, settings. */
  | "undo"
  /** This end knows how it ended, and says so to its user. */
  | "settle"
  | "answer load"
  | "answer finish"
  | "answer not-started"
  | "answer lost"
  | "answer status"
  | "report ram"
  | "report switchover"
  | "report handover"
  | "report postcopy"
  | "report done";

export type DestinationAction = StateAction<DestinationState> | DestinationEffect;

/** Of a guest that is not to run here. */
const GIVE_UP = [
  "enter",
  "try to write failed",
  "undo",
  "qemu discard",
  "settle",
] as const;

const GIVEN_UP = { fault: GIVE_UP, gone: GIVE_UP } as const;

/** Asked how things are: the answer must be what another process would find in the journal. */
const TELL = ["written", "answer status"] as const;

const RUN = ["report handover", "qemu cont"] as const;

export const DESTINATION_LISTS = {
  waiting: { exported: ["write prepared", "enter"], resumed: ["undo"], ...GIVEN_UP, status: TELL },
  prepared: {
    // A process that resumes this must know that the guest may be here.
    incoming: ["note incoming", "qemu migrate-incoming", "report ram"],
    load: ["write loading", "enter", "report switchover", "qemu load"],
    ...GIVEN_UP,
    status: TELL,
  },
  loading: {
    completed: ["write loaded", "enter", "answer load"],
    ...GIVEN_UP,
    status: TELL,
  },
  loaded: {
    // The journal first: a process that resumes this must know that the guest may run here.
    finish: ["write starting", "enter", ...RUN],
    ...GIVEN_UP,
    status: TELL,
  },
  starting: {
    // The source has handed the guest over, and asks again where it has heard no answer.
    finish: RUN,
    runs: ["write finished", "enter", "undo", "report done", "settle", "answer finish"],
    "ram-left": ["write postcopy", "enter", "report postcopy", "answer finish"],
    // A process that resumes this must not start the guest: the source may resume it.
    refused: [...GIVE_UP, "answer not-started"],
    gone: ["enter", "try to write lost", "undo", "settle"],
    status: TELL,
  },
  postcopy: {
    "finish-late": ["answer finish"],
    "ram-crossed": ["write finished", "enter", "undo", "report done", "settle"],
    gone: ["enter", "try to write lost", "undo", "settle"],
    status: TELL,
  },
  finished: { "finish-late": ["answer finish"], resumed: ["undo", "settle"], status: TELL },
  failed: {
    "finish-late": ["written", "answer not-started"],
    resumed: ["undo", "qemu discard", "settle"],
    status: TELL,
  },
  lost: { "finish-late": ["written", "answer lost"], resumed: ["undo", "settle"], status: TELL },
} as const satisfies Lists<DestinationState, DestinationEvent, DestinationAction>;

/** What follows from an event; `undefined` where the state does not know it. */
export function destinationStep(
  state: DestinationState,
  event: DestinationEvent,
): Step<DestinationState, DestinationAction> | undefined {
  const to = DESTINATION[state][event];
  const lists: Lists<DestinationState, DestinationEvent, DestinationAction> = DESTINATION_LISTS;
  return to && { to, actions: lists[state][event] ?? [] };
}
