/**
 * The running vmferrys of this host, by their marks.
 *
 * @module
 */
import type { RunProgram } from "../../host/mod.ts";
import type { Processes } from "../../migrate/mod.ts";
import { COMMANDS } from "../help/flag.ts";
import { runProgram } from "./run_program.ts";

/** How long a look at all processes may take, ms. */
const LOOK_MS = 10_000;

/**
 * A script for sh: the files `stat`, `status` and `cmdline` of process `$1`, of all processes without an argument, as
 * lines `PID/FILE:TEXT`. Of `status` only NSpid, which ends with its number in its own PID namespace; `cmdline` only
 * of processes that may be vmferry. A host may have thousands of processes: the shell itself reads byte by byte.
 */
const LOOK = String.raw`
export LC_ALL=C
cd /proc || exit
all=${"$"}{1-[0-9]*}
grep -sH '' $all/stat
grep -sH '^NSpid:' $all/status
for stat in $(grep -slE 'vmferry|deno' $all/stat); do
  printf '%s:%s\n' "${"$"}{stat%/*}/cmdline" "$(tr '\0\n' '  ' <"${"$"}{stat%/*}/cmdline")"
done 2>/dev/null
exit 0
`;

/** States of processes that have ended. */
const ENDED = ["Z", "X"];

/** A process of this host. */
interface Process {
  readonly pid: string;
  readonly mark: string;
  /** Its arguments, separated by spaces. */
  readonly args: string;
}

/** The marks of processes, from their numbers and the times at which they started. */
export class ProcessMarks implements Processes {
  readonly #run: RunProgram;
  #own: Promise<string> | undefined;

  /** @param run runs programs of this host. */
  constructor(run: RunProgram) {
    this.#run = run;
  }

  /** {@inheritDoc Processes.own} */
  own(): Promise<string> {
    return this.#own ??= this.#lookIfPossible([String(Deno.pid)]).then(([process]) => {
      // Without /proc no process can find this one: the others take its exports for those of a killed one.
      return process?.mark ?? crypto.randomUUID().slice(0, 8);
    });
  }

  /** {@inheritDoc Processes.running} */
  async running(marks: ReadonlySet<string>): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    for (const { mark, pid, args } of await this.#look([])) {
      if (marks.has(mark)) found.set(mark, wordsOf(pid, args));
    }
    return found;
  }

  /** Another running vmferry that was given this QMP socket, as text for the user. */
  async userOf(qmpPath: string): Promise<string | undefined> {
    const isUser = ({ pid, args }: Process) =>
      pid !== String(Deno.pid) &&
      [`--qmp ${qmpPath} `, `--qmp=${qmpPath} `].some((words) => `${args} `.includes(words));
    const user = (await this.#lookIfPossible([])).find(isUser);
    return user && wordsOf(user.pid, user.args);
  }

  async #look(pids: readonly string[]): Promise<Process[]> {
    const { stdout } = await this.#run(["sh", "-c", LOOK, "sh", ...pids], { timeoutMs: LOOK_MS });
    return await parseProcesses(stdout);
  }

  async #lookIfPossible(pids: readonly string[]): Promise<Process[]> {
    try {
      return await this.#look(pids);
    } catch {
      return [];
    }
  }
}

/** Those of this host. */
export const vmferryProcesses: ProcessMarks = new ProcessMarks(runProgram);

/**
 * The processes in what {@link LOOK} has printed. Lines that are cut short are left out, and processes that have
 * ended: nobody may ever ask for their exit codes, as in a container without an init.
 */
export async function parseProcesses(text: string): Promise<Process[]> {
  const found: Process[] = [];
  const files = {
    stat: new Map<string, string>(),
    status: new Map<string, string>(),
    cmdline: new Map<string, string>(),
  };
  for (const line of text.split("\n")) {
    const [, pid, file, content] = /^(\d+)\/(stat|status|cmdline):(.*)$/.exec(line) ?? [];
    if (pid) files[file as keyof typeof files].set(pid, content!);
  }
  for (const [pid, stat] of files.stat) {
    // The second member is the name in brackets, which may hold spaces and brackets; the third is the state, the
    // 22nd the start.
    const members = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, started] = [members[0]!, members[19]];
    if (started === undefined || ENDED.includes(state)) continue;
    const own = /\d+$/.exec(files.status.get(pid) ?? "")?.[0] ?? pid;
    const bytes = new TextEncoder().encode(`${own} ${started}`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    found.push({ pid, mark: digest.toHex().slice(0, 8), args: files.cmdline.get(pid) ?? "" });
  }
  return found;
}

function wordsOf(pid: string, args: string): string {
  const command = args.split(" ").find((word) => COMMANDS.some((each) => each === word));
  return `vmferry ${command === undefined ? "" : `${command} `}(process ${pid})`;
}
