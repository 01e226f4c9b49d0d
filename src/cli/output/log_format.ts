/**
 * How lines on standard error look. Pure.
 *
 * @module
 */
import type { LogLevel } from "../../io/mod.ts";
import { withoutTicket } from "../endpoint/address.ts";
import type { CliEvent } from "./events.ts";

/** `text`: for people. `json`: an object a line. `journald`: with a priority that systemd reads. */
export const LOG_FORMATS = ["text", "json", "journald"] as const;
export type LogFormat = typeof LOG_FORMATS[number];

/** Priorities of sd-daemon(3). */
const PRIORITY: Readonly<Record<LogLevel, number>> = { debug: 7, info: 6, warning: 4, error: 3 };

/** One line of a log. */
export interface LogLine {
  readonly level: LogLevel;
  /** For people; its lines become one. */
  readonly message: string;
  /** Id of the migration, the same on both hosts; absent before it is known. */
  readonly migration: string | undefined;
  /** The event that the line is about. */
  readonly event?: CliEvent;
  readonly time: Date;
}

/** A line of a log for a program to read, without its end. No ticket is in it. */
export function formatLine(format: Exclude<LogFormat, "text">, line: LogLine): string {
  const { level, migration, event, time } = line;
  const message = line.message.replaceAll(/\s*\n\s*/g, "; ");
  if (format === "journald") {
    return `<${PRIORITY[level]}>${message}${migration ? ` [migration ${migration}]` : ""}`;
  }
  return JSON.stringify({
    ...{ time: time.toISOString(), level, message },
    ...(migration ? { migration } : {}),
    ...(event ? { event: loggable(event) } : {}),
  });
}

/** How much an event matters. */
export function levelOf(event: CliEvent): LogLevel {
  if (event.event === "warning") return "warning";
  if (event.event === "link" && event.state === "down") return "warning";
  return "error" in event && event.error ? "error" : "info";
}

/** An event as a log may hold it: without a ticket. */
export function loggable(event: CliEvent): CliEvent {
  return event.event === "listening" ? { ...event, address: withoutTicket(event.address) } : event;
}
