import { type Clock, delay, type Logger, messageOf } from "../io/mod.ts";
import { RpcError, RpcPeer } from "../rpc/mod.ts";
import { type Session, SessionError } from "../tunnel/mod.ts";
import { MigrationError } from "./errors.ts";
import type { Report } from "./events.ts";

export interface HandoverOptions {
  readonly session: Session;
  readonly rpc: RpcPeer;
  /** False for a guest that was paused: it stays so at the destination. */
  readonly run: boolean;
  /** Makes a fresh session, to ask with when the first one is dead. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly report: Report;
}

/** How long one answer may take before we ask again, ms. */
const ANSWER_MS = 30_000;
/** Pause between two questions, ms. */
const ASK_AGAIN_MS = 500;
/**
 * How long we ask, at least, once the first session is dead, ms: longer than the destination may take
 * to find that out for itself and to give up.
 */
const ASK_AT_LEAST_MS = 20_000;

/**
 * Gives the guest to the destination. Returns when the destination has said that it has it. Once
 * the question is out, silence means nothing: it is asked again, over the same session while that
 * lives, over fresh ones after that, for as long as the session's grace.
 *
 * @throws {MigrationError} code `not-started`: the destination says that it does not run the guest
 * and never will; kind `unknown`: no word could be had.
 */
export async function handOver(options: HandoverOptions): Promise<void> {
  const { session, rpc, run, clock } = options;
  let last: unknown;
  while (session.state !== "ended") {
    try {
      await rpc.call("finish", { run }, { timeoutMs: ANSWER_MS });
      return;
    } catch (error) {
      if (error instanceof RpcError) throw notStarted(error);
      last = error;
      options.log.log("warning", `no answer to "finish" yet: ${messageOf(error)}`);
    }
  }
  options.report({
    event: "warning",
    code: "asking-again",
    message: "The connection was lost after the guest was handed over; asking who runs it",
  });
  const until = clock.now() + Math.max(ASK_AT_LEAST_MS, session.graceMs);
  while (clock.now() < until) {
    try {
      if (await askStatus(options)) return;
    } catch (error) {
      if (error instanceof MigrationError) throw error;
      last = error;
    }
    await delay(clock, ASK_AGAIN_MS);
  }
  throw new MigrationError(
    "unknown",
    "handover-unanswered",
    "destination",
    `The destination was told to run the guest and did not answer: ${messageOf(last)}`,
    { cause: last },
  );
}

/** @returns true when the destination has the guest, false when it can't tell yet. */
async function askStatus(options: HandoverOptions): Promise<boolean> {
  const { clock, log } = options;
  const session = await options.connect(AbortSignal.timeout(ANSWER_MS));
  try {
    const rpc = new RpcPeer(session.rpc, {
      clock,
      log,
      handlers: {},
      onFault: (error) => session.abort(error.message, "protocol-error"),
    });
    const status = await rpc.call("status", {}, { timeoutMs: ANSWER_MS });
    if (status.state === "finished") return true;
    if (status.state === "failed") {
      throw notStarted(
        new RpcError("not-started", "The destination gave up before it ran the guest"),
      );
    }
    if (status.state === "waiting") {
      throw new SessionError("closed", "A new receive answers, which knows nothing of this guest");
    }
    return false;
  } finally {
    await session.close(1000);
  }
}

function notStarted(error: RpcError): MigrationError {
  const kind = error.code === "not-started" ? "failed" : "unknown";
  return new MigrationError(kind, error.code, "destination", error.message, { cause: error });
}
