/**
 * Both sides as tables: which state an event leads to. Pure; what is done on the way is in
 * source_step.ts and destination_step.ts.
 *
 * @module
 */
import type { Transitions } from "../../io/mod.ts";

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
  handover: {
    crossed: "handover",
    answered: "done",
    denied: "undone",
    silence: "unknown",
    fault: "handover",
  },
  done: { answered: "done", fault: "done" },
  undone: { fault: "undone" },
  unknown: { fault: "unknown" },
};

/** The event that a process begins with that resumes in this state; `undefined`: it goes on with the phase. */
export function resumedWith(state: SourceState): "crossed" | "answered" | "fault" | undefined {
  switch (state) {
    case "handover":
      return "crossed";
    case "done":
      return "answered";
    case "undone":
      return "fault";
    default:
      return undefined;
  }
}

/** Where the destination's side is; also what its journal and its answer to `status` say. */
export type DestinationState =
  /** No source has come. */
  | "waiting"
  /** The disks are exported. */
  | "prepared"
  /** The guest stands still at the source, its last bytes are loaded here. */
  | "loading"
  /** All of the guest is here, stopped. */
  | "loaded"
  /** `finish` came: QEMU may have been told to run it. */
  | "starting"
  /** It runs here, or stands paused where that was asked. */
  | "finished"
  /** Nothing came of it: it was not run here and never will be. */
  | "failed"
  /** QEMU ended while it was told to run the guest, or did not say that it does: nobody knows. */
  | "lost";

export type DestinationEvent =
  /** `prepare`: exports made. */
  | "exported"
  /** The memory is about to come. */
  | "incoming"
  /** `load` came. */
  | "load"
  /** QEMU said completed. */
  | "completed"
  /** `finish` came, or another process goes on with it. */
  | "finish"
  /** `finish` came when it was known already what became of the guest. */
  | "finish-late"
  /** `status` came. */
  | "status"
  /** QEMU said that the guest runs (or stands paused, where that was asked). */
  | "runs"
  /** QEMU said that it did not start the guest. */
  | "refused"
  /** QEMU ended, or was silent for longer than it may be. */
  | "gone"
  /** Another process goes on with what a killed one has left. */
  | "resumed"
  /** The source went, gave up or was given up; something failed here. */
  | "fault";

const GIVEN_UP = { fault: "failed", gone: "failed" } as const;

export const DESTINATION: Transitions<DestinationState, DestinationEvent> = {
  waiting: { exported: "prepared", resumed: "waiting", ...GIVEN_UP, status: "waiting" },
  prepared: { incoming: "prepared", load: "loading", ...GIVEN_UP, status: "prepared" },
  loading: { completed: "loaded", ...GIVEN_UP, status: "loading" },
  loaded: { finish: "starting", ...GIVEN_UP, status: "loaded" },
  starting: {
    ...{ runs: "finished", refused: "failed", gone: "lost" },
    ...{ finish: "starting", status: "starting" },
    // A source that went has still handed the guest over: only QEMU itself says no from here on.
    fault: "starting",
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
  // The memory's stream can't be taken up.
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
  ...["ram", "switchover", "handover", "undone", "unknown"] as const,
];

/** States before the handover: whether the guest is to run can still change. */
export const BEFORE_HANDOVER: readonly SourceState[] = ["prepare", "mirror", "ram", "switchover"];

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

/**
 * Where a process goes on that resumes another one's migration: only where that can't do harm. From
 * `handover` on it begins with the event that led there, see {@link resumedWith}.
 */
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
