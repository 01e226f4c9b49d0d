/**
 * The destination's side as a table: what may follow what. Pure; `DestinationMigration` carries it
 * out, and tests/migrate/handover/model_test.ts explores it together with the source's.
 *
 * @module
 */
import type { Transitions } from "../../io/mod.ts";

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
  /** `load` came. */
  | "load"
  /** QEMU said completed. */
  | "completed"
  /** `finish` came, and that is written down. */
  | "finish"
  /** QEMU said that the guest runs (or stands paused, where that was asked). */
  | "runs"
  /** QEMU said that it did not start the guest. */
  | "refused"
  /** QEMU ended, or was silent for longer than it may be. */
  | "gone"
  /** The source went, gave up or was given up; something failed here. */
  | "fault";

export const DESTINATION: Transitions<DestinationState, DestinationEvent> = {
  waiting: { exported: "prepared", fault: "failed", gone: "failed" },
  prepared: { load: "loading", fault: "failed", gone: "failed" },
  loading: { completed: "loaded", fault: "failed", gone: "failed" },
  loaded: { finish: "starting", fault: "failed", gone: "failed" },
  // A source that went has still handed the guest over: only QEMU itself says no from here on.
  starting: { runs: "finished", refused: "failed", gone: "lost", fault: "starting" },
  finished: { fault: "finished", gone: "finished" },
  failed: { fault: "failed", gone: "failed" },
  lost: { fault: "lost", gone: "lost" },
};
