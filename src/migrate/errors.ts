import { DialError, messageOf, printable } from "../io/mod.ts";
import { QmpClosedError } from "../qmp/mod.ts";
import { RpcError } from "../rpc/mod.ts";
import { SessionError } from "../tunnel/mod.ts";
import { type ErrorCode, type FailureKind, isErrorCode } from "./error_table.ts";
import type { ReportedError, Side } from "./events.ts";
import { quoteOf } from "./last_words.ts";

export type { ErrorCode, FailureKind } from "./error_table.ts";

/** Why a migration did not succeed, with the side on which the cause lies. */
export class MigrationError extends Error {
  /** Name of the class, for stacks. */
  override name = "MigrationError";
  /** What the failure means for the guest, and so the exit code. */
  readonly kind: FailureKind;
  /** For scripts; {@link ERRORS} has its meaning. */
  readonly code: ErrorCode;
  /** `null` where it is not known which side this is. */
  readonly side: Side | null;
  /** With code `peer-error`: the other side's code, which this version does not know. */
  readonly peerCode: string | undefined;
  /** The message quotes QEMU's own words: its log has nothing more. */
  readonly quoted: boolean;
  /** Each problem on its own, where the message has several. */
  readonly problems: readonly string[];

  /**
   * A failure with its code and side.
   *
   * @param kind what the failure means for the guest.
   * @param message for people, with what was expected and what to do next.
   * @param options `quoted`: the message quotes QEMU's own words. `problems`: its parts, if it has several.
   */
  constructor(
    kind: FailureKind,
    code: ErrorCode,
    side: Side | null,
    message: string,
    options?: {
      readonly cause?: unknown;
      readonly quoted?: boolean;
      readonly problems?: readonly string[];
      readonly peerCode?: string | undefined;
    },
  ) {
    super(message, options);
    this.kind = kind;
    this.code = code;
    this.side = side;
    this.quoted = options?.quoted ?? false;
    this.problems = options?.problems ?? [];
    this.peerCode = options?.peerCode;
  }

  /** As `--json` prints it. */
  get reported(): ReportedError {
    const { code, message, side, problems, peerCode } = this;
    return {
      ...{ code, message, side },
      ...(problems.length > 1 ? { problems } : {}),
      ...(peerCode === undefined ? {} : { peerCode }),
    };
  }
}

/** Several reasons as one refusal; each on a line of its own where there is more than one. */
export function refusal(code: ErrorCode, side: Side, problems: readonly string[]): MigrationError {
  return new MigrationError("refused", code, side, problems.join("; "), { problems });
}

/**
 * The code of a word that a peer sent: the word, if this version knows it, else `peer-error` with the
 * word as `peerCode`.
 */
export function codeFromPeer(
  word: string,
): { readonly code: ErrorCode; readonly peerCode?: string } {
  return isErrorCode(word) ? { code: word } : { code: "peer-error", peerCode: printable(word, 64) };
}

/** Any error as a failure of this side; a `MigrationError` stays as it is. */
export function asMigrationError(error: unknown, side: Side | null): MigrationError {
  if (error instanceof MigrationError) return error;
  const other = side === "destination" ? "source" : "destination";
  if (error instanceof RpcError) {
    const kind = error.code === "refused" ? "refused" : "failed";
    const { code, peerCode } = codeFromPeer(error.code);
    const { problems } = error;
    return new MigrationError(kind, code, other, error.message, {
      ...{ cause: error, problems, peerCode },
    });
  }
  if (error instanceof SessionError) {
    if (error.code === "refused") {
      const dialCode = error.cause instanceof DialError ? error.cause.code ?? "" : "";
      const code = error.refusal ?? (isErrorCode(dialCode) ? dialCode : "refused");
      return new MigrationError("refused", code, other, error.message, { cause: error });
    }
    const from = error.code === "ended-by-peer" ? other : side;
    // The other side's reason for its end is the cause, and has the advice with it.
    const code = error.code === "unreachable" || error.code === "ended-by-peer"
      ? error.code
      : "connection-lost";
    const message = error.peerReason ?? error.message;
    return new MigrationError("failed", code, from, message, { cause: error });
  }
  return new MigrationError("failed", "failed", side, messageOf(error), { cause: error });
}

/**
 * The failure of a QEMU that has ended, from the way in which its QMP connection ended.
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

/** The record of the destination must stay: somebody has to find the guest by it, or to resume with it. */
export function needsRecord({ kind, code }: MigrationError): boolean {
  return kind === "unknown" && (code === "not-seen-running" || code === "postcopy-paused");
}
