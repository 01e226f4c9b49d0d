/**
 * The two ends of a migration as something that can be controlled.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import {
  type LadderChange,
  LadderError,
  type Limits,
  MigrationError,
  type Side,
  TOO_LATE,
} from "../../migrate/mod.ts";
import { describeMachine, type QmpClient } from "../../qmp/mod.ts";
import { absolutePath } from "../paths.ts";
import type { MigrationTimeout } from "../args/timeout.ts";
import { ControlError, type SetChange } from "./protocol.ts";
import type { Controlled } from "./server.ts";
import type { Identity, StatusBoard } from "./status_board.ts";

const NO_UUID = "00000000-0000-0000-0000-000000000000";

/** What distinguishes this run from others. */
export async function identify(
  role: Side,
  qmp: QmpClient,
  qmpPath: string,
  runDir: string,
): Promise<Identity> {
  const { name, uuid } = await describeMachine(qmp);
  const guest = { name: name ?? null, uuid: uuid && uuid !== NO_UUID ? uuid : null };
  return { role, pid: Deno.pid, runDir, qmp: absolutePath(qmpPath), guest };
}

/** How a `migrate` is brought to its end where it does not get there by itself. */
export interface Ending {
  readonly timeout: MigrationTimeout;
  /** Pauses the guest as soon as only what it changes is left to copy. */
  readonly pause: (why: string) => void;
  /** Takes or forbids steps for a guest that changes its RAM faster than RAM crosses. */
  readonly steps: (change: LadderChange) => Promise<void>;
}

/** A `migrate`; aborting `stop` ends it. */
export function controlSource(
  board: StatusBoard,
  identity: Identity,
  limits: Limits,
  stop: AbortController,
  end?: Ending,
): Controlled {
  const { signal } = stop;
  let pause: "when-copied" | null = null;
  let steps: Pick<SetChange, "autoConverge" | "postcopy"> = {};
  return {
    ended: board.ended,
    report: () => board.reportData,
    status: () =>
      board.status(identity, {
        bandwidth: limits.bandwidth,
        ...(limits.share === null ? {} : { share: limits.share }),
        maxDowntimeMs: limits.maxDowntimeMs,
        ending: signal.aborted ? messageOf(signal.reason) : null,
      }),
    async set(change: SetChange) {
      // The connection is still limited while the rest of RAM crosses.
      const isBandwidth = Object.keys(change).every((name) => name === "bandwidth");
      if (board.phase !== "postcopy" || !isBandwidth) refuseWhenLate(board, "changed");
      if (signal.aborted) throw late(`It is being undone: ${messageOf(signal.reason)}`);
      const isPaused = board.phase === "switchover";
      const { maxDowntimeMs: downtime, pause: pausing, autoConverge: throttling } = change;
      const isLate = [downtime, pausing, throttling, change.postcopy].some((c) => c !== undefined);
      if (isPaused && isLate) {
        throw late("The guest is stopped for the switchover already: its downtime has begun");
      }
      const { timeoutAction, timeoutMs } = change;
      if (timeoutAction && !timeoutMs && (timeoutMs === 0 || end?.timeout.leftMs === null)) {
        throw new ControlError(
          "bad-request",
          "timeout-action needs timeout=SECONDS: there is none",
        );
      }
      await limits.set(change);
      const now = { bandwidth: limits.bandwidth, maxDowntimeMs: limits.maxDowntimeMs };
      if (!end) return now;
      const { autoConverge, postcopy } = change;
      const wanted = {
        ...(autoConverge === undefined ? {} : { autoConverge }),
        ...(postcopy === undefined ? {} : { postcopy }),
      };
      if (Object.keys(wanted).length > 0) {
        await end.steps(wanted).catch((error) => {
          throw error instanceof LadderError ? new ControlError("too-late", error.message) : error;
        });
        steps = { ...steps, ...wanted };
      }
      end.timeout.set(change);
      if (change.pause) {
        pause = change.pause;
        end.pause("Asked for by 'vmferry set pause=when-copied'");
      }
      const { leftMs, action } = end.timeout;
      return { ...now, pause, timeoutMs: leftMs, timeoutAction: action, ...steps };
    },
    cancel() {
      refuseWhenLate(board, "cancelled");
      if (signal.aborted) return;
      const message = "Cancelled by 'vmferry cancel'";
      stop.abort(new MigrationError("cancelled", "cancelled", "source", message));
    },
  };
}

/** A `receive`; `end` ends it. */
export function controlDestination(
  board: StatusBoard,
  identity: Identity,
  end: (reason: MigrationError) => void,
): Controlled {
  let ending: string | null = null;
  return {
    ended: board.ended,
    report: () => board.reportData,
    status: () => board.status(identity, { bandwidth: null, maxDowntimeMs: null, ending }),
    set() {
      const message = "The limits are the source's: set them where 'vmferry migrate' runs";
      return Promise.reject(new ControlError("not-here", message));
    },
    cancel() {
      refuseWhenLate(board, "cancelled");
      const message = "Cancelled by 'vmferry cancel' at the destination";
      ending ??= message;
      end(new MigrationError("cancelled", "cancelled", "destination", message));
    },
  };
}

function refuseWhenLate({ phase, over }: StatusBoard, what: string): void {
  if (over) throw late("The migration has ended");
  if (phase === "done") throw late("The guest is at the destination already");
  if (phase === "handover") {
    if (what === "cancelled") throw late(TOO_LATE);
    throw late(`The guest is being handed over to the destination: it can't be ${what} any more`);
  }
}

function late(message: string): ControlError {
  return new ControlError("too-late", message);
}
