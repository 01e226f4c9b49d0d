/**
 * Starts the QEMU of a launch, so that it survives the end of vmferry and of its login, and waits until
 * it answers on its QMP socket.
 *
 * @module
 */
import { delay, messageOf, printable } from "../../../io/mod.ts";
import {
  command,
  CommandError,
  type ProgramResult,
  type RunningProgram,
} from "../../../host/mod.ts";
import { MigrationError } from "../../../migrate/mod.ts";
import { QmpClient } from "../../../qmp/mod.ts";
import type { LaunchStart } from "../../../rpc/mod.ts";
import type { LaunchHost } from "../host.ts";
import type { LaunchPlan } from "../plan.ts";
import { howEnded, lastWordsOf, lookAtQemu, type QemuState, unitDescription } from "./qemu.ts";
import type { LaunchRecord } from "../record.ts";
import { systemdRun } from "./unit.ts";

/** How long QEMU may take to answer while it uses no processor time, ms. */
const IDLE_MS = 30_000;
/** The same in all: one that allocates its RAM beforehand works for minutes. */
const MOST_MS = 600_000;
/** Time between two looks, ms. */
const LOOK_MS = 100;
/** The same while the process is not written down yet, ms. */
const SEEN_MS = 10;
/** How long QEMU may take to greet and to answer one command, each, ms. */
const ANSWER_MS = 2_000;
/** How long systemd-run may take, ms. */
const UNIT_MS = 30_000;

/**
 * Starts QEMU in directory `$1` with its output to the log `$2`, as a session of its own that has written
 * down its process in `$3`; as user `$4` and group `$5`, unless those are empty. The command follows.
 * Waits for the end of QEMU: its exit code is this one's.
 */
const START = `
cd -- "$1" || exit 1
umask 077
: >>"$2" || exit 1
setsid sh -c '
  pid=$3 user=$4 group=$5
  shift 5
  echo $$ $(sed "s/.*) //" /proc/$$/stat | cut -d " " -f 20) $(cat /proc/sys/kernel/random/boot_id) >"$pid" ||
    exit 1
  umask 022
  ulimit -l unlimited 2>/dev/null
  if [ -n "$user" ]; then
    if command -v setpriv >/dev/null; then set -- setpriv "--reuid=$user" "--regid=$group" --init-groups -- "$@"
    else set -- runuser -u "$user" -g "$group" -- "$@"
    fi
  fi
  exec "$@"
' sh "$@" </dev/null >>"$2" 2>&1 &
wait $!
`;

/** A QEMU that was started, or may have been. */
export class StartingQemu {
  readonly #host: LaunchHost;
  readonly #record: LaunchRecord;
  readonly #starter: RunningProgram | undefined;
  #ended: ProgramResult | undefined;

  /**
   * Starts it.
   *
   * @throws {MigrationError} when it cannot be started.
   */
  static async start(host: LaunchHost, plan: LaunchPlan): Promise<StartingQemu> {
    const { record, argv, start } = plan;
    const { unit, pidFile } = record.qemu;
    if (unit !== null) {
      const description = unitDescription(record);
      try {
        await command(host.run, systemdRun({ unit, description, argv, start }), UNIT_MS);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        const state = await lookAtQemu(host, record);
        // It was started, and ended before systemd-run could say so.
        if (state.state === "ended") {
          throw await new StartingQemu(host, record, undefined).#died(state);
        }
        throw notStarted(`systemd does not start ${unit.name}: ${error.message}`, error);
      }
      return new StartingQemu(host, record, undefined);
    }
    const { user, group } = needsSwitch(host, start) ? start.user! : { user: "", group: "" };
    const variables = Object.entries(start.environment).map(([name, value]) => `${name}=${value}`);
    const starter = host.start([
      ...["sh", "-c", START, "sh", start.cwd, record.log!, pidFile!],
      ...[user, group],
      ...cleanEnvironment(variables),
      ...argv,
    ]);
    const starting = new StartingQemu(host, record, starter);
    await starting.#isSeen();
    return starting;
  }

  private constructor(host: LaunchHost, record: LaunchRecord, starter: RunningProgram | undefined) {
    this.#host = host;
    this.#record = record;
    this.#starter = starter;
    starter?.ended.then((result) => this.#ended = result);
  }

  /**
   * Waits until QEMU answers on its QMP socket.
   *
   * @returns its state then.
   * @throws {MigrationError} code `qemu-not-started`, with its last words, when it ends or does not answer;
   * code `socket-in-use` when another process answers there.
   * @throws the signal's reason when that is aborted.
   */
  async answers(qmp: string, signal: AbortSignal): Promise<QemuState> {
    const { clock } = this.#host;
    const begin = clock.now();
    let [ticks, since] = [-1, begin];
    while (true) {
      signal.throwIfAborted();
      const ended = this.#ended;
      const state = await lookAtQemu(this.#host, this.#record);
      if (ended !== undefined || state.state === "ended") throw await this.#died(state);
      // systemd-run has seen it start; systemd forgets a unit that has not failed.
      if (this.#record.qemu.unit !== null && state.state === "unseen") {
        throw await this.#died({ ...state, how: "exit code 0" });
      }
      if (state.state === "running" && await this.#answersOnce(qmp, state.pid)) {
        // Without it, QEMU goes on; its next owner is init.
        this.#starter?.kill();
        return state;
      }
      const now = clock.now();
      if (state.ticks !== ticks) [ticks, since] = [state.ticks, now];
      if (now - since >= IDLE_MS || now - begin >= MOST_MS) {
        const seconds = Math.round((now - begin) / 1000);
        throw notStarted(
          `QEMU runs and does not answer on ${qmp} within ${seconds} s${await this.#quote()}`,
        );
      }
      await delay(clock, LOOK_MS, signal);
    }
  }

  /** Waits until the process is written down: until then nobody could end it. */
  async #isSeen(): Promise<void> {
    const { clock } = this.#host;
    const until = clock.now() + UNIT_MS;
    while (this.#ended === undefined && clock.now() < until) {
      if ((await lookAtQemu(this.#host, this.#record)).state !== "unseen") return;
      await delay(clock, SEEN_MS);
    }
  }

  /** Ends what has waited for QEMU's exit code. */
  release(): void {
    this.#starter?.kill();
  }

  async #died({ how }: QemuState): Promise<MigrationError> {
    // The starter is QEMU's parent, and ends with it.
    const result = await this.#starter?.ended;
    const ended = result ? howEnded(result) : how;
    const code = ended === "" ? "" : ` with ${ended}`;
    return notStarted(
      `QEMU ended${code} before it answered on its QMP socket${await this.#quote()}`,
    );
  }

  async #quote(): Promise<string> {
    const words = await lastWordsOf(this.#host, this.#record).catch((error) => {
      this.#host.log.log("debug", `QEMU's output: ${messageOf(error)}`);
      return "";
    });
    return words === "" ? "" : `. Its last words: "${printable(words, 1000)}"`;
  }

  /**
   * Whether QEMU answers there. Its greeting is not enough: a thread of its own sends that while the main
   * one may still fail to create a device.
   *
   * @param pid of the QEMU that was started.
   * @throws {MigrationError} code `socket-in-use`, when another QEMU answers.
   */
  async #answersOnce(path: string, pid: number | null): Promise<boolean> {
    const { clock, connectUnix, serversOf, log } = this.#host;
    const debug = (error: unknown) => log.log("debug", `${path}: ${messageOf(error)}`);
    let servers: readonly (readonly number[])[] = [];
    try {
      await using qmp = await QmpClient.open(await connectUnix(path), {
        ...{ clock, log, greetingTimeoutMs: ANSWER_MS, commandTimeoutMs: ANSWER_MS },
      });
      await qmp.execute("query-status", {});
      // While it is connected: a QEMU that has lost the path to another one still listens.
      servers = await serversOf(path).catch((error) => {
        debug(error);
        return [];
      });
    } catch (error) {
      debug(error);
      return false;
    }
    // QEMU may be the child of a script.
    if (pid === null || servers.length === 0 || servers.some((line) => line.includes(pid))) {
      return true;
    }
    const message =
      `Process ${servers[0]![0]} answers on ${path}, expected the QEMU that was started ` +
      `(process ${pid}). Give another path with --map`;
    throw new MigrationError("refused", "socket-in-use", "destination", message);
  }
}

/** Whether QEMU runs as another user than vmferry. */
function needsSwitch({ user }: LaunchHost, start: LaunchStart): boolean {
  return start.user !== null && start.user.user !== user.name;
}

/** QEMU gets a few variables of its own, not those of the login. */
function cleanEnvironment(variables: readonly string[]): string[] {
  const script = 'exec env -i PATH="$PATH" HOME="$HOME" "$@"';
  // env takes a word with "=" for a variable, sh -c does not.
  return ["sh", "-c", script, "sh", ...variables, "sh", "-c", 'exec "$@"', "sh"];
}

function notStarted(message: string, cause?: unknown): MigrationError {
  return new MigrationError("refused", "qemu-not-started", "destination", message, { cause });
}
