import { type Clock, DeadlineError, delay, type Logger, messageOf } from "../../io/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import { MigrationError } from "../errors.ts";
import type { Report } from "../events.ts";
import { warnIfStands } from "../guest/run_states.ts";
import { wordOf } from "./states.ts";

/** What the handover asks of a destination. */
export type AskedPeer =
  & Pick<DestinationPeer, "finish" | "status" | "attach" | "close">
  & { readonly session: Pick<DestinationPeer["session"], "state"> };

export interface HandoverOptions {
  /** The migration's session; `undefined` if another process owned it. */
  readonly peer: AskedPeer | undefined;
  /** Names the migration to a destination that is asked in a fresh session. */
  readonly migration: string;
  /** False for a guest that was paused: it stays so at the destination. */
  readonly run: boolean;
  /** How long the sessions of this migration outlive their connection, ms. */
  readonly graceMs: number;
  /** Makes a fresh session, to ask with when the first one is dead. */
  readonly connect: (signal: AbortSignal) => Promise<AskedPeer>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly report: Report;
}

/** How long a fresh session may take to be made, ms. */
const CONNECT_MS = 30_000;
/** Pause between two questions, ms. */
const ASK_AGAIN_MS = 500;
/**
 * How long we ask, at least, once the first session is dead, ms: longer than the destination may take
 * to find that out for itself and to give up.
 */
const ASK_AT_LEAST_MS = 20_000;

/**
 * How long we ask a destination that can be reached and can't tell, ms: longer than it may take to
 * find out for itself.
 */
const ASK_AT_MOST_MS = 300_000;

/**
 * Gives the guest to the destination. Returns when the destination has said that it has it. Once
 * the question is out, silence means nothing: it is asked again, over the same session while that
 * lives, over fresh ones after that, for as long as the session's grace.
 *
 * @returns QEMU's run state there; `null` where QEMU did not say it.
 * @throws {MigrationError} code `not-started`: the destination says that it does not run the guest
 * and never will; kind `unknown`: no word could be had.
 */
export async function handOver(options: HandoverOptions): Promise<string | null> {
  const { peer, run, clock, log, report, graceMs } = options;
  let last: unknown;
  const latest = clock.now() + graceMs + ASK_AT_MOST_MS;
  while (peer && peer.session.state !== "ended" && clock.now() < latest) {
    try {
      const { status } = await peer.finish(run);
      if (run) warnIfStands(status, report);
      return status;
    } catch (error) {
      throwIfFinal(error);
      last = error;
      log.log("warning", `no answer to "finish" yet: ${messageOf(error)}`);
    }
    await delay(clock, ASK_AGAIN_MS);
  }
  const message = peer && peer.session.state !== "ended"
    ? "The destination does not say that the guest runs; asking in a fresh session"
    : "The connection was lost after the guest was handed over; asking who runs it";
  report({ event: "warning", code: "asking-again", message });
  const until = clock.now() + Math.max(ASK_AT_LEAST_MS, graceMs);
  do {
    try {
      return await askAgain(options);
    } catch (error) {
      throwIfFinal(error);
      last = error;
    }
    await delay(clock, ASK_AGAIN_MS);
  } while (clock.now() < until);
  throw new MigrationError(
    "unknown",
    "handover-unanswered",
    "destination",
    `The destination received the guest and does not say whether it runs: ${messageOf(last)}`,
    { cause: last },
  );
}

/** How long a destination that runs the guest may take to hear that the source knows, ms. */
const TELL_MS = 5_000;

/**
 * Lets a destination that is known to have the guest know that this end knows, in a fresh session: it
 * need not wait for our question then.
 */
export async function reportAnswered(
  { connect, clock, migration }: Pick<HandoverOptions, "connect" | "clock" | "migration">,
): Promise<void> {
  const peer = await connectWithin(TELL_MS, { connect, clock });
  try {
    await peer.status(migration);
  } finally {
    await peer.close(1000);
  }
}

/**
 * Asks in a fresh session, and tells it again to a destination that has not heard or not answered.
 *
 * @returns QEMU's run state there, once the destination has the guest.
 * @throws {Error} where it can't tell yet.
 */
async function askAgain(options: HandoverOptions): Promise<string | null> {
  const peer = await connectWithin(CONNECT_MS, options);
  try {
    const { state, guest } = await peer.status(options.migration);
    const word = wordOf(state);
    if (word === "answered" || word === "ram-left") return guest;
    if (word === "denied") {
      throw new RpcError("not-started", "The destination gave up before it ran the guest");
    }
    if (word === "silence") {
      throw new RpcError(
        "lost",
        "The destination's QEMU ended after it got the command to run the guest",
      );
    }
    if (word !== "finish-again") throw new Error(`The destination that answers is "${state}"`);
    await peer.attach(options.migration);
    const { status } = await peer.finish(options.run);
    if (options.run) warnIfStands(status, options.report);
    return status;
  } finally {
    await peer.close(1000);
  }
}

async function connectWithin(
  ms: number,
  { connect, clock }: Pick<HandoverOptions, "connect" | "clock">,
): Promise<AskedPeer> {
  const late = new AbortController();
  const cancel = clock.after(ms, () => {
    late.abort(new DeadlineError(`No session with the destination within ${ms / 1000} s`));
  });
  try {
    return await connect(late.signal);
  } finally {
    cancel();
  }
}

/** Answers that no further question can change. */
function throwIfFinal(error: unknown): void {
  if (error instanceof MigrationError) throw error;
  if (!(error instanceof RpcError)) return;
  const { code, message } = error;
  if (code !== "not-started" && code !== "lost") return;
  const kind = code === "lost" ? "unknown" : "failed";
  throw new MigrationError(kind, code, "destination", message, { cause: error });
}
