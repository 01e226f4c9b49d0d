/**
 * Both sides as tables: which state an event leads to. Pure; what is done on the way is in
 * source_step.ts and destination_step.ts.
 *
 * @module
 */
import type { Transitions } from "../../io/mod.ts";
import type { DestinationState } from "../../rpc/mod.ts";

export type { DestinationState };

/** Where the source's side is; also what its journal says. */
export type SourceState =
  /** Both ends are compared, and the destination exports its disks. */
  | "prepare"
  /** The disks are copied. */
  | "mirror"
  /** RAM is copied, the guest still runs. */
  | "ram"
  /** The guest is paused here, its last bytes cross. */
  | "switchover"
  /** The destination may have received `finish`: the guest must not run here. */
  | "handover"
  /** The destination runs the guest, and a part of its RAM is still here: it lives on both hosts together. */
  | "postcopy"
  /** The destination has the guest. */
  | "done"
  /** The migration failed: the guest is the source's. */
  | "undone"
  /** The destination does not answer: the guest must not run here. */
  | "unknown";

export type SourceEvent =
  /** The destination has exported its disks, and the source has probed them. */
  | "prepared"
  /** Every mirror is ready. */
  | "ready"
  /** QEMU has paused the guest for the switchover. */
  | "stopped"
  /** The mirrors have ended, and both QEMUs have said `completed`. */
  | "crossed"
  /** The destination said that it has the guest. */
  | "answered"
  /** The same, and QEMU here still has a part of the guest's RAM (post-copy). */
  | "ram-left"
  /** The stream of the rest of RAM broke, or its process was killed. */
  | "broken"
  /** The rest of the guest's RAM has crossed. */
  | "ram-crossed"
  /** The destination said that it has not run the guest and never will. */
  | "denied"
  /** The destination has not answered within the grace. */
  | "silence"
  /** Any other failure, on either side or of the connection. */
  | "fault";

export const SOURCE: Transitions<SourceState, SourceEvent> = {
  prepare: { prepared: "mirror", fault: "undone" },
  mirror: { ready: "ram", fault: "undone" },
  ram: { stopped: "switchover", fault: "undone" },
  switchover: { crossed: "handover", fault: "undone" },
  // From here on only the destination's answer brings the guest back.
  handover: {
    crossed: "handover",
    answered: "done",
    "ram-left": "postcopy",
    denied: "undone",
    silence: "unknown",
    fault: "handover",
  },
  // The guest has run at the destination: it never runs here again.
  postcopy: { broken: "postcopy", "ram-crossed": "done", fault: "postcopy" },
  done: { answered: "done", fault: "done" },
  undone: { fault: "undone" },
  unknown: { fault: "unknown" },
};

/** The event that a process begins with that resumes in this state; `undefined`: it goes on with the phase. */
export function resumedWith(
  state: SourceState,
): "crossed" | "broken" | "answered" | "fault" | undefined {
  switch (state) {
    case "handover":
      return "crossed";
    case "postcopy":
      return "broken";
    case "done":
      return "answered";
    case "undone":
      return "fault";
    default:
      return undefined;
  }
}

export type DestinationEvent =
  /** `prepare`: exports made. */
  | "exported"
  /** The source opens RAM's stream. */
  | "incoming"
  /** `load` came. */
  | "load"
  /** QEMU said completed. */
  | "completed"
  /** `finish` came, or another process goes on with it. */
  | "finish"
  /** `finish` came when the outcome was known. */
  | "finish-late"
  /** `status` came. */
  | "status"
  /** QEMU said that the guest runs, or is paused if it was before. */
  | "runs"
  /** The same, and a part of the guest's RAM is still at the source (post-copy). */
  | "ram-left"
  /** QEMU said completed after that. */
  | "ram-crossed"
  /** QEMU said that it did not start the guest. */
  | "refused"
  /** QEMU ended, or was silent for longer than it may be. */
  | "gone"
  /** Another process resumes a migration whose outcome is known, or which was not prepared. */
  | "resumed"
  /** The source left or gave up; or something failed here. */
  | "fault";

const GIVEN_UP = { fault: "failed", gone: "failed" } as const;

export const DESTINATION: Transitions<DestinationState, DestinationEvent> = {
  waiting: { exported: "prepared", resumed: "waiting", ...GIVEN_UP, status: "waiting" },
  prepared: { incoming: "prepared", load: "loading", ...GIVEN_UP, status: "prepared" },
  loading: { completed: "loaded", ...GIVEN_UP, status: "loading" },
  loaded: { finish: "starting", ...GIVEN_UP, status: "loaded" },
  starting: {
    ...{ runs: "finished", "ram-left": "postcopy", refused: "failed", gone: "lost" },
    ...{ finish: "starting", status: "starting" },
    // The source has handed the guest over, even if it left: from here on only QEMU can refuse.
    fault: "starting",
  },
  // The guest runs here, and needs the source: a source that left may come back.
  postcopy: {
    ...{ "ram-crossed": "finished", gone: "lost", fault: "postcopy", resumed: "postcopy" },
    ...{ "finish-late": "postcopy", status: "postcopy" },
  },
  finished: stays("finished"),
  failed: stays("failed"),
  lost: stays("lost"),
};

function stays<S extends DestinationState>(state: S) {
  return { "finish-late": state, resumed: state, status: state, fault: state, gone: state };
}

/** A session may go on with a migration that another one has prepared. */
export function isAttachable(state: DestinationState, incomingStarted: boolean): boolean {
  // RAM's stream cannot be resumed.
  return state !== "loading" && (state !== "prepared" || !incomingStarted);
}

/**
 * What a process begins with that goes on with what a killed one wrote down; `undefined`: it waits for the
 * source.
 */
export function resumedBy(
  state: DestinationState,
  incomingStarted: boolean,
): "resumed" | "finish" | "fault" | undefined {
  switch (state) {
    case "prepared":
      return incomingStarted ? "fault" : undefined;
    case "loading":
      return "fault";
    case "loaded":
      return undefined;
    case "starting":
      return "finish";
    default:
      return "resumed";
  }
}

/** States in which the migration may be the reason why the guest is paused. */
export const MAY_HAVE_PAUSED: readonly SourceState[] = [
  ...["ram", "switchover", "handover", "postcopy", "undone", "unknown"] as const,
];

/** States before the handover: whether the guest is to run can still change. */
export const BEFORE_HANDOVER: readonly SourceState[] = ["prepare", "mirror", "ram", "switchover"];

/** Where the destination has the guest, or may have it: it must not run here. */
export const AFTER_HANDOVER: readonly SourceState[] = ["handover", "postcopy", "unknown", "done"];

/** What the destination's answer to `status` means to a source that has handed the guest over. */
export function wordOf(state: DestinationState): SourceEvent | "finish-again" | "ask-again" {
  switch (state) {
    case "finished":
      return "answered";
    case "postcopy":
      return "ram-left";
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

/**
 * Where a process goes on that resumes another one's migration: only where that can't do harm. From
 * `handover` on it begins with the event that led there, see {@link resumedWith}.
 */
export function resumedAt(journal: SourceState): SourceState {
  switch (journal) {
    case "prepare":
    case "mirror":
      return journal;
    // RAM's stream cannot be resumed, and nothing was handed over.
    case "ram":
    case "switchover":
    case "undone":
      return "undone";
    case "handover":
    case "unknown":
      return "handover";
    case "postcopy":
      return "postcopy";
    case "done":
      return "done";
  }
}
