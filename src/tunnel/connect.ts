/**
 * The connecting end: opens a session, and makes a new connection when one is lost.
 *
 * @module
 */
import {
  afterStall,
  type BytePipe,
  type Clock,
  DeadlineError,
  delay,
  type Dial,
  DialError,
  type Logger,
  messageOf,
} from "../io/mod.ts";
import type { Compression } from "./compress/compressor.ts";
import { ConnectionError, SessionError } from "./errors.ts";
import { type Local, openSession, resumeSession } from "./connection/handshake.ts";
import { joinSession } from "./connection/join.ts";
import * as limits from "./limits.ts";
import type { Liveness } from "./connection/connection.ts";
import type { Lane } from "./lane.ts";
import { Session } from "./session.ts";

/** How to reach the other end. */
export interface ConnectOptions {
  /** Makes a connection; called again for each attempt to reconnect. */
  readonly dial: Dial;
  /** What this end brings to the handshake. */
  readonly local: Local;
  /** The time. */
  readonly clock: Clock;
  /** Gets each attempt to reconnect that failed. */
  readonly log: Logger;
  /** How long dialling and the handshake may take without progress of the dial, ms. */
  readonly connectMs: number;
  /** False when a new connection would not reach the same process (a child's stdio). */
  readonly mayReconnect: boolean;
  /** Bytes sent and not acknowledged, at most. Default {@link limits.IN_FLIGHT}. */
  readonly inFlight?: number;
  /** Compresses what a peer that accepts it is sent. Default: nothing. */
  readonly compression?: Compression | undefined;
  /** How silence is judged. Default: {@link limits.PING_AFTER_MS}, {@link limits.DEAD_AFTER_MS}. */
  readonly liveness?: Liveness;
  /** Numbers from 0 to 1 for the jitter of the waits. Default `Math.random`. */
  readonly random?: () => number;
  /** Called before each attempt to reconnect: its number from 1, and the grace left, ms. */
  readonly onAttempt?: (attempt: number, leftMs: number) => void;
  /** Gives up the first connection; it has no effect once the session is open. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a session. It reconnects by itself, within its grace, until it ends.
 *
 * @throws {SessionError} code `unreachable` when no connection or no handshake came about within
 * `connectMs`, `refused` when the other end refuses this one or does not know the secret.
 */
export async function connectSession(options: ConnectOptions): Promise<Session> {
  const { clock, log } = options;
  const local = options.mayReconnect ? options.local : { ...options.local, graceMs: 0 };
  const { pipe, result } = await withPipe(options, (pipe) => openSession(pipe, local))
    .catch((error) => {
      if (error instanceof SessionError) throw error;
      const failure = error instanceof DialError ? error.failure : undefined;
      if (failure === "refused") {
        throw new SessionError("refused", messageOf(error), { cause: error });
      }
      // A child of ours dials by itself; its errors say nothing about the address.
      const unanswered = options.mayReconnect &&
        (error instanceof DeadlineError || failure === "unanswered");
      throw new SessionError("unreachable", messageOf(error), { cause: error, unanswered });
    });
  const session = new Session({
    role: "connecting",
    identity: result.identity,
    peer: result.peer,
    lanes: result.lanes,
    wantedLanes: local.lanes ?? 1,
    graceMs: local.graceMs,
    decompress: local.decompress,
    compression: options.compression,
    clock,
    log,
    ...(options.inFlight ? { inFlight: options.inFlight } : {}),
    ...(options.liveness ? { liveness: options.liveness } : {}),
  });
  const carry = (lane: Lane, pipe: BytePipe) => {
    lane.attach(pipe, 0, 0);
    lane.onLink((change) => {
      if (change.state === "down") reconnect(lane, { ...options, local });
    });
  };
  carry(session.first, pipe);
  session.openLanesBy(() => openLanes(session, { ...options, local }, carry));
  return session;
}

/**
 * Opens the lanes of a session that are not there.
 *
 * @throws {SessionError} code `refused` or `unreachable`, or the session's own.
 */
async function openLanes(
  session: Session,
  options: ConnectOptions,
  carry: (lane: Lane, pipe: BytePipe) => void,
): Promise<void> {
  const { local } = options;
  const numbers = Array.from({ length: session.mostLanes - 1 }, (_, i) => i + 1);
  const over = new AbortController();
  session.ended.then((cause) => {
    over.abort(cause ?? new SessionError("closed", "The session has ended"));
  });
  const tries = numbers.filter((number) => !session.lane(number)).map(async (number) => {
    try {
      const { pipe, result } = await untilOpen(
        session,
        { ...options, signal: over.signal },
        (pipe) => joinSession(pipe, local, session.identity, number),
      ).catch((error) => {
        if (over.signal.aborted) throw over.signal.reason;
        const part = `Connection ${number + 1} of ${session.mostLanes}`;
        const code = error instanceof SessionError ? error.code : "unreachable";
        throw new SessionError(code, `${part} could not be opened: ${messageOf(error)}`, {
          cause: error,
        });
      });
      if (over.signal.aborted) {
        pipe.close();
        throw over.signal.reason;
      }
      let lane: Lane;
      try {
        lane = session.join(number, result);
      } catch (error) {
        pipe.close();
        throw error;
      }
      carry(lane, pipe);
    } catch (error) {
      // A later call must not dial a lane that is still dialled.
      over.abort(error);
      throw error;
    }
  });
  await Promise.all(tries);
}

/** Tries for `connectMs`, and as long as the session itself waits for a connection. */
async function untilOpen<T>(
  session: Session,
  options: ConnectOptions,
  handshake: (pipe: BytePipe) => Promise<T>,
): Promise<{ pipe: BytePipe; result: T }> {
  const { clock, log, signal } = options;
  const until = clock.now() + options.connectMs;
  let pause = limits.RECONNECT_FIRST_MS;
  while (true) {
    try {
      return await withPipe(options, handshake);
    } catch (error) {
      const isFinal = error instanceof SessionError && error.code === "refused";
      const isLate = clock.now() >= until && session.first.state === "up";
      if (isFinal || isLate || signal!.aborted) throw error;
      log.log("info", `a further connection: ${messageOf(error)}`);
    }
    await delay(clock, pause, signal).catch(() => {});
    pause = Math.min(limits.RECONNECT_LONGEST_MS, pause * 2);
  }
}

/** Tries until the lane has a connection again or is over. Never rejects. */
async function reconnect(lane: Lane, options: ConnectOptions): Promise<void> {
  const { clock, log } = options;
  const random = options.random ?? Math.random;
  const over = new AbortController();
  lane.ended.then(() => over.abort(new ConnectionError("The session ended")));
  let pause = limits.RECONNECT_FIRST_MS;
  for (let attempt = 1; lane.state === "down"; attempt++) {
    options.onAttempt?.(attempt, lane.graceLeftMs);
    try {
      const { pipe, result } = await withPipe(
        { ...options, signal: over.signal },
        (pipe) =>
          resumeSession(
            pipe,
            options.local,
            lane.identity,
            lane.nextEpoch(),
            lane.received,
          ),
      );
      lane.attach(pipe, result.peerReceived, result.epoch);
      return;
    } catch (error) {
      log.log("info", `reconnect, attempt ${attempt}: ${messageOf(error)}`);
      if (error instanceof SessionError && error.code === "refused") {
        return lane.giveUp(`The session cannot go on: ${error.message}`, error);
      }
    }
    // Half of the wait is random, so that many sessions do not reconnect at the same moment.
    await delay(clock, pause * (0.5 + random() / 2), over.signal).catch(() => {});
    pause = Math.min(limits.RECONNECT_LONGEST_MS, pause * 2);
  }
}

/** Dials and does the handshake within one deadline; closes the pipe when that fails. */
async function withPipe<T>(
  options: ConnectOptions,
  handshake: (pipe: BytePipe) => Promise<T>,
): Promise<{ pipe: BytePipe; result: T }> {
  options.signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort(options.signal!.reason);
  options.signal?.addEventListener("abort", abort);
  let pipe: BytePipe | undefined;
  let steps = 0;
  const { clock, connectMs } = options;
  const cancelDeadline = afterStall(clock, connectMs, () => steps, () => {
    const seconds = (connectMs / 1000).toFixed(1);
    controller.abort(new DeadlineError(`Waited ${seconds} s for the other end to answer`));
  });
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  controller.signal.addEventListener("abort", () => {
    pipe?.close();
    aborted.reject(controller.signal.reason);
  });
  try {
    const work = async () => {
      const dialled = await options.dial(controller.signal, () => steps++);
      if (controller.signal.aborted) {
        dialled.close();
        throw controller.signal.reason;
      }
      pipe = dialled;
      return { pipe, result: await handshake(pipe) };
    };
    return await Promise.race([work(), aborted.promise]);
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    cancelDeadline();
    options.signal?.removeEventListener("abort", abort);
  }
}
