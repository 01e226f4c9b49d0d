/**
 * What is said over the control socket of a running migration, as docs/json.md has it: JSON,
 * a line each, one answer to each request, in order. Pure.
 *
 *     {"command": "status"}                                        -> {"result": {"event": "status", …}}
 *     {"command": "set", "bandwidth": 1048576, "maxDowntimeMs": 300}
 *                                           -> {"result": {"bandwidth": 1048576, "maxDowntimeMs": 300}}
 *     {"command": "set", "pause": "when-copied", "timeoutMs": 600000, "timeoutAction": "pause"}
 *                                                     -> {"result": {…, "pause", "timeoutMs", "timeoutAction"}}
 *     {"command": "set", "autoConverge": true, "postcopy": "never"} -> {"result": {…, "autoConverge", "postcopy"}}
 *     {"command": "report"}                              -> {"result": {"format": "vmferry-report", …}}
 *     {"command": "report", "atEnd": true}       the same, when the run has ended
 *     {"command": "cancel"}            when the migration has ended -> {"result": {"event": "result", …}}
 *     anything that is not done                                     -> {"error": {"code", "message"}}
 *
 * @module
 */
import { printable } from "../../io/mod.ts";
import type { LimitChange } from "../../migrate/mod.ts";
import { parseTimeoutAction, type TimeoutAction } from "../args/timeout.ts";

/** The socket's name in a run's private directory. */
export const CONTROL_SOCKET = "control.sock";
/** Longest request, bytes; what is answered may be larger. */
export const MAX_REQUEST = 64 * 1024;
/** Longest answer, bytes: a status with a thousand disks. */
export const MAX_ANSWER = 4 * 1024 * 1024;

export type Request =
  | { readonly command: "status" }
  /** `atEnd`: the answer comes when the run has ended. */
  | { readonly command: "report"; readonly atEnd?: boolean }
  | { readonly command: "cancel" }
  | ({ readonly command: "set" } & SetChange);

/** What is changed of a migration that runs; what is not named stays. */
export interface SetChange extends LimitChange {
  /** Pause the guest as soon as only what it changes is left to copy. */
  readonly pause?: "when-copied";
  /** From now on, ms; 0: as long as it takes. */
  readonly timeoutMs?: number;
  readonly timeoutAction?: TimeoutAction;
  /** Whether QEMU throttles the guest: from now on, or no longer. */
  readonly autoConverge?: boolean;
  /** Start post-copy, or never do. */
  readonly postcopy?: "now" | "never";
}

/** What holds. A migration that does not know a member leaves it out. */
export interface InForce {
  readonly bandwidth: number | null;
  readonly maxDowntimeMs: number;
  /** `when-copied`: the guest is, or will be, paused for the rest of the copy. */
  readonly pause?: "when-copied" | null;
  /** What is left of it, ms; `null`: as long as it takes. */
  readonly timeoutMs?: number | null;
  readonly timeoutAction?: TimeoutAction;
  /** As it was asked for; absent where nothing was. */
  readonly autoConverge?: boolean;
  /** As {@link autoConverge}. */
  readonly postcopy?: "now" | "never";
}

/** Why something was not done. */
export interface Refusal {
  /** `bad-request`, `too-late`, `not-here`, `failed`; unknown ones are failures too. */
  readonly code: string;
  readonly message: string;
}

export type Answer = { readonly result: unknown } | { readonly error: Refusal };

/** A request that is not carried out; the migration goes on as if it had not been made. */
export class ControlError extends Error {
  override name = "ControlError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Reads a request. Ignores unknown members, so that a later version can add some.
 *
 * @throws {ControlError} code `bad-request`.
 */
export function parseRequest(line: string): Request {
  const message = objectOf(line);
  switch (message.command) {
    case "status":
    case "cancel":
      return { command: message.command };
    case "report":
      return { command: "report", atEnd: message.atEnd === true };
    case "set":
      return { command: "set", ...parseChange(message) };
    default:
      throw bad(`"${printable(String(message.command), 40)}" is no command`);
  }
}

function parseChange(message: Record<string, unknown>): SetChange {
  const { bandwidth, maxDowntimeMs, pause, timeoutMs, timeoutAction } = message;
  const { autoConverge, postcopy } = message;
  const change: { -readonly [K in keyof SetChange]: SetChange[K] } = {};
  if (bandwidth !== undefined) {
    if (bandwidth !== null && !isWhole(bandwidth, 1)) throw bad("bandwidth is bytes, or null");
    change.bandwidth = bandwidth;
  }
  if (maxDowntimeMs !== undefined) {
    if (!isWhole(maxDowntimeMs, 0)) throw bad("maxDowntimeMs is milliseconds");
    change.maxDowntimeMs = maxDowntimeMs;
  }
  if (pause !== undefined) {
    if (pause !== "when-copied") throw bad('pause is "when-copied"');
    change.pause = pause;
  }
  if (timeoutMs !== undefined) {
    if (!isWhole(timeoutMs, 0)) throw bad("timeoutMs is milliseconds");
    change.timeoutMs = timeoutMs;
  }
  if (timeoutAction !== undefined) {
    const action = parseTimeoutAction(String(timeoutAction));
    if (action === undefined) throw bad('timeoutAction is "abort", "pause" or "postcopy"');
    change.timeoutAction = action;
  }
  if (autoConverge !== undefined) {
    if (typeof autoConverge !== "boolean") throw bad("autoConverge is true or false");
    change.autoConverge = autoConverge;
  }
  if (postcopy !== undefined) {
    if (postcopy !== "now" && postcopy !== "never") throw bad('postcopy is "now" or "never"');
    change.postcopy = postcopy;
  }
  if (Object.keys(change).length === 0) {
    throw bad(
      "set names none of bandwidth, maxDowntimeMs, pause, timeoutMs, timeoutAction, autoConverge " +
        "and postcopy",
    );
  }
  return change;
}

/**
 * Reads an answer.
 *
 * @returns its result.
 * @throws {ControlError} when it says that it was not done, or is no answer (`bad-answer`).
 */
export function parseAnswer(line: string): unknown {
  let message: Record<string, unknown>;
  try {
    message = objectOf(line);
  } catch {
    throw new ControlError("bad-answer", `It answered "${printable(line, 80)}", expected JSON`);
  }
  if (message.error !== undefined) {
    const { code, message: text } = Object(message.error) as Partial<Refusal>;
    throw new ControlError(
      String(code ?? "failed"),
      printable(String(text ?? "it gave no reason")),
    );
  }
  return message.result;
}

function objectOf(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw bad("a request is one line of JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad("a request is a JSON object");
  }
  return value as Record<string, unknown>;
}

function isWhole(value: unknown, least: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= least;
}

function bad(message: string): ControlError {
  return new ControlError("bad-request", message);
}
