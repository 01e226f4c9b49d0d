/**
 * The connecting end: a new session, and new connections for it when one is lost.
 *
 * @module
 */
import {
  type BytePipe,
  type Clock,
  DeadlineError,
  delay,
  type Dial,
  DialError,
  type Logger,
  messageOf,
  withDeadline,
} from "../io/mod.ts";
import { ConnectionError, SessionError } from "./errors.ts";
import { type Local, openSession, resumeSession } from "./connection/handshake.ts";
import * as limits from "./limits.ts";
import type { Liveness } from "./connection/connection.ts";
import { Session } from "./session.ts";

export interface ConnectOptions {
  readonly dial: Dial;
  readonly local: Local;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long dialling and the handshake may take together, ms. */
  readonly connectMs: number;
  /** False when a new connection would not reach the same process (a child's stdio). */
  readonly mayReconnect: boolean;
  readonly inFlight?: number;
  readonly liveness?: Liveness;
  /** Numbers from 0 to 1 for the jitter. */
  readonly random?: () => number;
  /** Told of each attempt to have the connection back, with the time left, ms. */
  readonly onAttempt?: (attempt: number, leftMs: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Opens a session. It reconnects by itself, within its grace, until it ends.
 *
 * @throws {SessionError} code `unreachable` or `refused`.
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
      // What a child of ours dials is its own affair.
      const unanswered = options.mayReconnect &&
        (error instanceof DeadlineError || failure === "unanswered");
      throw new SessionError("unreachable", messageOf(error), { cause: error, unanswered });
    });
  const session = new Session({
    role: "connecting",
    identity: result.identity,
    peer: result.peer,
    graceMs: local.graceMs,
    clock,
    log,
    ...(options.inFlight ? { inFlight: options.inFlight } : {}),
    ...(options.liveness ? { liveness: options.liveness } : {}),
  });
  session.attach(pipe, 0, 0);
  session.onLink((change) => {
    if (change.state === "down") reconnect(session, { ...options, local });
  });
  return session;
}

/** Tries until the session has a connection again or is over. Never rejects. */
async function reconnect(session: Session, options: ConnectOptions): Promise<void> {
  const { clock, log } = options;
  const random = options.random ?? Math.random;
  const over = new AbortController();
  session.ended.then(() => over.abort(new ConnectionError("The session ended")));
  let pause = limits.RECONNECT_FIRST_MS;
  for (let attempt = 1; session.state === "down"; attempt++) {
    options.onAttempt?.(attempt, session.graceLeftMs);
    try {
      const { pipe, result } = await withPipe(
        { ...options, signal: over.signal },
        (pipe) =>
          resumeSession(
            pipe,
            options.local,
            session.identity,
            session.nextEpoch(),
            session.received,
          ),
      );
      session.attach(pipe, result.peerReceived, result.epoch);
      return;
    } catch (error) {
      log.log("info", `reconnect, attempt ${attempt}: ${messageOf(error)}`);
      if (error instanceof SessionError && error.code === "refused") {
        return session.giveUp(`The session can't go on: ${error.message}`, error);
      }
    }
    // Half of the wait is left to chance, so that many sessions do not come back in step.
    await delay(clock, pause * (0.5 + random() / 2), over.signal).catch(() => {});
    pause = Math.min(limits.RECONNECT_LONGEST_MS, pause * 2);
  }
}

/** Dials and shakes hands within one deadline; closes the pipe when that fails. */
async function withPipe<T>(
  options: ConnectOptions,
  handshake: (pipe: BytePipe) => Promise<T>,
): Promise<{ pipe: BytePipe; result: T }> {
  options.signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort(options.signal!.reason);
  options.signal?.addEventListener("abort", abort);
  let pipe: BytePipe | undefined;
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  controller.signal.addEventListener("abort", () => {
    pipe?.close();
    aborted.reject(controller.signal.reason);
  });
  try {
    const work = async () => {
      const dialled = await options.dial(controller.signal);
      if (controller.signal.aborted) {
        dialled.close();
        throw controller.signal.reason;
      }
      pipe = dialled;
      return { pipe, result: await handshake(pipe) };
    };
    return await withDeadline(
      options.clock,
      options.connectMs,
      "the other end to answer",
      Promise.race([work(), aborted.promise]),
    );
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}
