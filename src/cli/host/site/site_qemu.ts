/**
 * A destination's QEMU that the site starts and stops in its own way: by commands of the user.
 *
 * @module
 */
import { abortable, type Clock, delay, type Logger, messageOf } from "../../../io/mod.ts";
import { MigrationError } from "../../../migrate/mod.ts";
import { type RunSiteCommand, SiteCommandError } from "./site_command.ts";

/** Pause between two looks at the QMP socket, ms. */
const LOOK_MS = 100;

/** What it needs. */
export interface SiteQemuOptions {
  /** Starts QEMU, and returns once that is under way: `systemctl start qemu-incoming@vm1`. */
  readonly start: string;
  /** Ends QEMU; also called where `start` has failed, or where QEMU has ended by itself. */
  readonly stop: string;
  /** How long each command may take, and QEMU to answer or to end after it, ms. */
  readonly timeoutMs: number;
  /** Path of QEMU's QMP socket. */
  readonly qmp: string;
  /** Added to the environment of both commands; `VMFERRY_HOOK` says which one it is. */
  readonly environment: () => Readonly<Record<string, string>>;
  /** Whether somebody listens on the UNIX socket at this path. */
  readonly answers: (path: string) => Promise<boolean>;
  /** Finds the processes that listen on the UNIX socket at this path; resolves to whether one of them still runs. */
  readonly processes: (path: string) => Promise<() => Promise<boolean>>;
  /** Another process has started it: `stop` stops it. */
  readonly begun?: boolean;
  readonly run: RunSiteCommand;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Starts and stops a QEMU. Its owner calls {@link stop} after every {@link start} that does not end well. */
export class SiteQemu {
  readonly #options: SiteQemuOptions;
  #begun: boolean;

  /** Runs nothing yet. */
  constructor(options: SiteQemuOptions) {
    this.#options = options;
    this.#begun = options.begun ?? false;
  }

  /**
   * Makes sure that nobody else's QEMU is behind the socket: that one would be stopped after a failure.
   *
   * @throws {MigrationError} kind `refused`, code `already-started`.
   */
  async assertAbsent(): Promise<void> {
    const { qmp, answers } = this.#options;
    if (!await answers(qmp)) return;
    const message =
      `A QEMU already answers on ${qmp}, and --start is to start one. Stop it, or give ` +
      "neither --start nor --stop";
    throw new MigrationError("refused", "already-started", "destination", message);
  }

  /** Whether somebody listens on the QMP socket. */
  async answers(): Promise<boolean> {
    return await this.#options.answers(this.#options.qmp);
  }

  /**
   * Starts QEMU; resolves when it listens on its QMP socket.
   *
   * @throws {MigrationError} code `start-failed`, quoting the command's standard error, or as
   * {@link assertAbsent} does.
   * @throws the signal's reason when aborted; the command is killed by then.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { start, qmp, answers, timeoutMs, clock } = this.#options;
    signal.throwIfAborted();
    await abortable(this.assertAbsent(), signal);
    this.#begun = true;
    try {
      await this.#run("start", start, signal);
    } catch (error) {
      if (!(error instanceof SiteCommandError)) throw error;
      throw failed(`The command of --start ${error.message}`, error);
    }
    const until = clock.now() + timeoutMs;
    while (!await abortable(answers(qmp), signal)) {
      if (clock.now() >= until) {
        throw failed(
          `The command of --start ended with 0, and QEMU does not listen on ${qmp} after ` +
            `${timeoutMs / 1000} s. Look at QEMU's log; the path must be that of --qmp`,
        );
      }
      await delay(clock, LOOK_MS, signal);
    }
  }

  /**
   * Stops what {@link start} has begun; resolves when QEMU's process has ended, which closes its images and removes
   * its files after it has left the QMP socket. Never rejects.
   *
   * @returns why QEMU may still be there, as text.
   */
  async stop(): Promise<string | undefined> {
    const { stop, qmp, answers, processes, timeoutMs, clock, log } = this.#options;
    if (!this.#begun) return undefined;
    this.#begun = false;
    const runs = await processes(qmp);
    try {
      await this.#run("stop", stop);
    } catch (error) {
      log.log("info", `--stop: ${messageOf(error)}`);
      // It had ended by itself, for one: a command that finds nothing to stop fails.
      if (!await answers(qmp)) return undefined;
      return `The command of --stop ${messageOf(error)}: QEMU may still run`;
    }
    const until = clock.now() + timeoutMs;
    while (await answers(qmp) || await runs()) {
      if (clock.now() >= until) {
        return `The command of --stop ended with 0, and the QEMU behind ${qmp} still runs after ` +
          `${timeoutMs / 1000} s`;
      }
      await delay(clock, LOOK_MS);
    }
    return undefined;
  }

  async #run(what: "start" | "stop", command: string, signal?: AbortSignal): Promise<void> {
    const { environment, timeoutMs, run, log } = this.#options;
    log.log("info", `--${what}: ${command}`);
    await run(command, {
      env: { ...environment(), VMFERRY_HOOK: what, VMFERRY_OUTCOME: "", VMFERRY_ERROR: "" },
      timeoutMs,
      onLine: (line) => log.log("info", `--${what}: ${line}`),
      ...(signal ? { signal } : {}),
    });
  }
}

function failed(message: string, cause?: unknown): MigrationError {
  return new MigrationError("failed", "start-failed", "destination", message, { cause });
}
