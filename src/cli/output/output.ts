/**
 * Where everything that a command has to say goes: JSON lines on standard output for programs,
 * bars or plain lines on standard error for people.
 *
 * @module
 */
import { type Logger, type LogLevel, printable } from "../../io/mod.ts";
import type { CommonOptions } from "../args/common.ts";
import type { CliEvent } from "./events.ts";
import { LineWriter, type Sink } from "./line_writer.ts";
import type { RunAbout } from "../report/data.ts";
import { Bars } from "./bars.ts";
import { lineOf } from "./lines.ts";
import { formatLine, levelOf, loggable } from "./log_format.ts";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warning: 2, error: 3 };
/** Lines that only tell how far things are come no closer together than this, ms. */
const QUIET_MS = 5000;
/** Longest line, characters. */
const LONGEST_LINE = 10_000;

/** What an output writes to, and what is known of the terminal there. */
export interface Outlets {
  readonly stdout: Sink;
  readonly stderr: Sink & { isTerminal(): boolean };
  /** The terminal's kind, of the environment. */
  readonly term: () => string | undefined;
  readonly columns: () => number;
}

const PROCESS: Outlets = {
  stdout: Deno.stdout,
  stderr: Deno.stderr,
  term: () => Deno.env.get("TERM"),
  columns,
};

export class Output {
  readonly log: Logger;
  /** The command that runs; absent where none was parsed. */
  readonly about?: RunAbout;
  readonly #stdout: LineWriter;
  readonly #stderr: LineWriter;
  readonly #options: Pick<CommonOptions, "json" | "quiet" | "logFormat">;
  readonly #bars: Bars | undefined;
  #migration: string | undefined;
  #lastProgress = -Infinity;
  #lastCarry = -Infinity;
  #lastLinkDown = -Infinity;

  constructor(
    options: Pick<CommonOptions, "json" | "quiet" | "verbose" | "logFormat">,
    outlets: Outlets = PROCESS,
    about?: RunAbout,
  ) {
    if (about) this.about = about;
    this.#options = options;
    this.#stdout = new LineWriter(outlets.stdout);
    this.#stderr = new LineWriter(outlets.stderr);
    const least: LogLevel = options.verbose ? "debug" : "warning";
    const plain = options.json || options.quiet || options.verbose || this.#isLog;
    if (!plain && movesItsCursor(outlets)) {
      this.#bars = new Bars((text) => this.#stderr.write(text), outlets.columns);
    }
    this.log = {
      debugEnabled: options.verbose,
      log: (level, message) => {
        if (RANK[level] < RANK[least]) return;
        if (this.#isLog) return this.#logLine(message, level);
        // To compare with the logs of the peer and of both QEMUs.
        const when = options.verbose ? `${timeOfDay()} ` : "";
        this.line(`vmferry: ${when}${level}: ${printable(message, LONGEST_LINE)}`);
      },
    };
  }

  /** Reports an event. Never waits. */
  readonly report = (event: CliEvent): void => {
    if (event.event === "migration") this.#migration = event.migration;
    const isProgress = ["progress", "carry", "traffic"].includes(event.event);
    if (isProgress && this.#options.quiet) return;
    if (this.#options.json) {
      const migration = this.#migration === undefined ? {} : { migration: this.#migration };
      const line = JSON.stringify({ ...migration, ...event, time: new Date().toISOString() });
      this.#stdout.write(line + "\n", isProgress);
      return;
    }
    if (event.event === "progress") {
      if (this.#bars) return this.#bars.show(event);
      const now = performance.now();
      if (now - this.#lastProgress < QUIET_MS) return;
      this.#lastProgress = now;
    } else if (event.event === "carry") {
      const now = performance.now();
      if (event.sent < event.total && now - this.#lastCarry < QUIET_MS) return;
      this.#lastCarry = now;
    } else if (event.event === "link") {
      const now = performance.now();
      if (event.state === "down" && now - this.#lastLinkDown < QUIET_MS) return;
      this.#lastLinkDown = event.state === "down" ? now : -Infinity;
    }
    // The last word stands below the bars.
    if (event.event === "result" || event.event === "copy") this.#bars?.end();
    const line = lineOf(this.#isLog ? loggable(event) : event, this.#options.quiet);
    if (line === undefined) return;
    if (this.#isLog) this.#logLine(line, levelOf(event), event);
    else this.line(line);
  };

  /** A line for people, or some, on standard error; it cannot move the cursor. */
  readonly line = (text: string): void => {
    if (this.#isLog) return this.#logLine(text, "info");
    const lines = text.split("\n").map((line) => printable(line, LONGEST_LINE)).join("\n");
    if (this.#bars) this.#bars.above(lines);
    else this.#stderr.write(lines + "\n");
  };

  /** What was asked for, on standard output: as JSON or as text. */
  readonly answerEvent = (event: CliEvent): void => {
    const line = this.#options.json ? undefined : lineOf(event, false);
    if (line === undefined) this.report(event);
    else this.answer(line);
  };

  /** Text that was asked for, on standard output: help, version. */
  answer(text: string): void {
    this.#stdout.write(text + "\n");
  }

  get #isLog(): boolean {
    return (this.#options.logFormat ?? "text") !== "text";
  }

  #logLine(text: string, level: LogLevel, event?: CliEvent): void {
    const { logFormat } = this.#options;
    if (logFormat === undefined || logFormat === "text") return;
    // The program's name is in the log already.
    const message = text.split("\n")
      .map((line) => printable(line.replace(/^vmferry: (warning: )?/, ""), LONGEST_LINE)).join(
        "\n",
      );
    const line = { level, message, migration: this.#migration, time: new Date() };
    this.#stderr.write(formatLine(logFormat, event ? { ...line, event } : line) + "\n");
  }

  async close(): Promise<void> {
    this.#bars?.end();
    await Promise.all([this.#stdout.flush(), this.#stderr.flush()]);
  }
}

/** UTC, with microseconds as QEMU's events have them: `04:01:52.123456Z`. */
function timeOfDay(): string {
  const us = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  const ms = new Date(us / 1000).toISOString().slice(11, -1);
  return `${ms}${String(us % 1000).padStart(3, "0")}Z`;
}

function movesItsCursor({ stderr, term }: Outlets): boolean {
  return stderr.isTerminal() && term() !== "dumb";
}

function columns(): number {
  try {
    // A terminal that has no size says 0.
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}
