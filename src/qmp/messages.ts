/**
 * QMP messages from QEMU: one JSON object a line (docs/interop/qmp-spec of QEMU). Pure.
 *
 * @module
 */
import { parseExact, printable } from "../io/mod.ts";
import { QmpCommandError, QmpError } from "./errors.ts";

/** QEMU's version as `query-version` returns it. */
export interface QemuVersion {
  /** The 10 of 10.0.2. */
  readonly major: number;
  /** The first 0 of 10.0.2. */
  readonly minor: number;
  /** The 2 of 10.0.2. */
  readonly micro: number;
  /** The distribution's version, such as `Debian 1:10.0.2+ds-1`; may be empty. */
  readonly package: string;
}

/** An event, as QEMU sent it. */
export interface QmpEvent {
  /** Its name, such as `MIGRATION`. */
  readonly event: string;
  /** Its members; empty for an event without any. */
  readonly data: Readonly<Record<string, unknown>>;
  /** QEMU's clock, ms since 1970. */
  readonly timestampMs: number;
}

/** A message of any kind. */
export type Message = Readonly<Record<string, unknown>>;

/** @throws {QmpError} code `not-qmp` when the line is no JSON object; the message shows it. */
export function parseMessage(line: string): Message {
  try {
    const message = parseExact(line);
    if (typeof message === "object" && message !== null) return message as Message;
  } catch {
    // Falls through.
  }
  throw notQmp(line);
}

/** The members of QEMU's greeting; `undefined` when the message is something else. */
export function greetingOf(message: Message): Message | undefined {
  const { QMP } = message;
  return typeof QMP === "object" && QMP !== null ? QMP as Message : undefined;
}

/** The event that the message is; `undefined` when it is something else. */
export function eventOf(message: Message): QmpEvent | undefined {
  if (typeof message.event !== "string") return undefined;
  const { seconds = 0, microseconds = 0 } = (message.timestamp ?? {}) as {
    seconds?: number;
    microseconds?: number;
  };
  return {
    event: message.event,
    data: (message.data ?? {}) as Record<string, unknown>,
    timestampMs: seconds * 1000 + microseconds / 1000,
  };
}

/** The error in an answer to `command`; `undefined` when the answer is a success. */
export function errorOf(message: Message, command: string): QmpCommandError | undefined {
  const error = message.error as { class?: string; desc?: string } | undefined;
  if (error === undefined) return undefined;
  const description = printable(error.desc ?? "QEMU gave no reason", 2000);
  return new QmpCommandError(command, error.class ?? "GenericError", description);
}

/** The error for a peer that sends something other than QMP. */
export function notQmp(line: string): QmpError {
  return new QmpError(
    "not-qmp",
    `This is no QMP socket: it sent "${printable(line, 80)}". ` +
      "Expected the socket of QEMU's -qmp unix:PATH,server=on,wait=off",
  );
}
