import { messageOf } from "../io/mod.ts";
import { QmpClosedError } from "../qmp/mod.ts";
import { RpcError } from "../rpc/mod.ts";
import { SessionError } from "../tunnel/mod.ts";
import type { ReportedError, Side } from "./events.ts";
import { quoteOf } from "./last_words.ts";

/**
 * What a failure means for the guest: `refused`, nothing was touched; `failed` and `cancelled`, it
 * still runs at the source; `unknown`, nobody can tell at the moment.
 */
export type FailureKind = "refused" | "failed" | "cancelled" | "unknown";

/** Why a migration did not come about, in words, with the side that it came from. */
export class MigrationError extends Error {
  override name = "MigrationError";
  readonly kind: FailureKind;
  /** A stable word for scripts, in kebab case. */
  readonly code: string;
  /** `null` where it is not known which end this is. */
  readonly side: Side | null;
  /** The message quotes QEMU's own words: nobody needs to be sent to its log. */
  readonly quoted: boolean;
  /** Where the message tells several things: each on its own. */
  readonly problems: readonly string[];

  constructor(
    kind: FailureKind,
    code: string,
    side: Side | null,
    message: string,
    options?: {
      readonly cause?: unknown;
      readonly quoted?: boolean;
      readonly problems?: readonly string[];
    },
  ) {
    super(message, options);
    this.kind = kind;
    this.code = code;
    this.side = side;
    this.quoted = options?.quoted ?? false;
    this.problems = options?.problems ?? [];
  }

  /** As it is reported. */
  get reported(): ReportedError {
    const { code, message, side, problems } = this;
    return { code, message, side, ...(problems.length > 1 ? { problems } : {}) };
  }
}

/** Several reasons as one refusal; each on a line of its own where there is more than one. */
export function refusal(code: string, side: Side, problems: readonly string[]): MigrationError {
  return new MigrationError("refused", code, side, problems.join("; "), { problems });
}

/** Any error as a failure of this side, unless it says of itself that it is something else. */
export function asMigrationError(error: unknown, side: Side | null): MigrationError {
  if (error instanceof MigrationError) return error;
  const other = side === "destination" ? "source" : "destination";
  if (error instanceof RpcError) {
    const kind = error.code === "refused" ? "refused" : "failed";
    const { problems } = error;
    return new MigrationError(kind, error.code, other, error.message, { cause: error, problems });
  }
  if (error instanceof SessionError) {
    if (error.code === "refused") {
      const code = error.refusal ?? "refused";
      return new MigrationError("refused", code, other, error.message, { cause: error });
    }
    const from = error.code === "ended-by-peer" ? other : side;
    // What the other end says when it ends is the reason, with what to do about it.
    const code = error.code === "unreachable" || error.code === "ended-by-peer"
      ? error.code
      : "connection-lost";
    const message = error.peerReason ?? error.message;
    return new MigrationError("failed", code, from, message, { cause: error });
  }
  return new MigrationError("failed", "failed", side, messageOf(error), { cause: error });
}

/**
 * A QEMU that is no more, by how its QMP connection ended.
 *
 * @param log what it wrote to its log before, where that could be read.
 */
export function qemuGone(side: Side, cause: Error | undefined, log?: string): MigrationError {
  const why = messageOf(cause ?? "The QMP connection was closed here");
  const quote = log === undefined ? undefined : quoteOf(log);
  const words = quote === undefined ? undefined : `"${quote}"`;
  const end = cause instanceof QmpClosedError ? cause.end : undefined;
  const message = end === "shutdown"
    ? [why, words].filter((part) => part !== undefined).join(": ")
    : `QEMU has ended: ${words ?? (end === "by-qemu" ? "it closed its QMP connection" : why)}`;
  const quoted = quote !== undefined;
  return new MigrationError("failed", `${side}-qemu-gone`, side, message, { cause, quoted });
}
