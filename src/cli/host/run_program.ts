/**
 * Other programs of this host, started by sh: the built program may start nothing else
 * (tools/permissions.txt).
 *
 * @module
 */
import { DeadlineError, systemClock, withDeadline } from "../../io/mod.ts";
import {
  ProgramError,
  type ProgramOptions,
  type ProgramResult,
  type RunningProgram,
} from "../../host/mod.ts";

/** Most bytes of each of a program's outputs. */
const MAX_OUTPUT = 16 * 1024 * 1024;
/** How long its outputs may stay open after its end, ms: a child of its own may have them. */
const DRAIN_MS = 1000;
/** How long a killed program may take to end, ms. */
const KILLED_MS = 5_000;
/** Exit codes of sh: the program cannot be run, or is not there. */
const CANNOT_RUN = 126;
const NOT_FOUND = 127;

/**
 * The program replaces sh (`exec`), so that a kill hits the program itself. It ignores what a terminal
 * signals.
 */
const SCRIPT = 'trap "" INT HUP; export LC_ALL=C; exec "$@"';

/** Kills the process group `$1` and waits for its end, 2 s at most. */
const KILL_GROUP = `
kill -s KILL -- "-$1"
left=100
while [ "$left" -gt 0 ] && kill -s 0 -- "-$1"; do
  left=$((left - 1))
  sleep 0.02
done
`;

/** What a script of vmferry's is called where it takes too long. */
const SCRIPT_NAME =
  "a look at processes or files of this host (it is very busy, or a file system " +
  "does not answer)";

/** Runs a program to its end, as {@link RunProgram} says. */
export async function runProgram(
  argv: readonly string[],
  { timeoutMs, signal, input }: ProgramOptions,
): Promise<ProgramResult> {
  signal?.throwIfAborted();
  const program = new Program(argv, input);
  let stopped: { readonly reason: unknown; readonly dead: Promise<void> } | undefined;
  const stop = (reason: unknown) => {
    stopped ??= { reason, dead: program.killAll() };
  };
  const seconds = (timeoutMs / 1000).toFixed(1);
  const what = argv[0] === "sh" && argv[1] === "-c" ? SCRIPT_NAME : argv.slice(0, 2).join(" ");
  const timer = setTimeout(
    () => stop(new DeadlineError(`Waited ${seconds} s for ${what}`)),
    timeoutMs,
  );
  const abort = () => stop(signal!.reason);
  signal?.addEventListener("abort", abort);
  try {
    const result = await program.ended;
    if (stopped !== undefined) {
      await stopped.dead;
      throw stopped.reason;
    }
    if (program.tooMuch) {
      throw new ProgramError("failed", `${argv[0]} printed more than ${MAX_OUTPUT >> 20} MiB`);
    }
    if (result.code === NOT_FOUND) {
      throw new ProgramError("not-found", `${argv[0]}: there is no such program on this host`);
    }
    if (result.code === CANNOT_RUN) {
      throw new ProgramError("failed", `${argv[0]}: ${result.stderr.trim() || "cannot be run"}`);
    }
    return result;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Starts a program, as {@link StartProgram} says. Its exit code is 127 where there is none. It does not
 * end with vmferry: its owner kills it, and a program whose connections go through vmferry loses them.
 */
export function startProgram(argv: readonly string[]): RunningProgram {
  return new Program(argv, undefined);
}

/**
 * Kills a program that has not ended yet, whose number is still its own, with everything in its group:
 * a script's qemu-img would go on, and make a file again that its caller has removed. Waits for their
 * end, a few seconds at most: a process in an uninterruptible wait does not end.
 */
export async function killGroup(child: Deno.ChildProcess): Promise<void> {
  const none = { stdin: "null", stdout: "null", stderr: "null" } as const;
  const args = ["-c", KILL_GROUP, "sh", String(child.pid)];
  await new Deno.Command("sh", { args, ...none }).output();
  await withDeadline(systemClock, KILLED_MS, "a killed program to end", child.status).catch(
    () => {},
  );
}

class Program implements RunningProgram {
  readonly ended: Promise<ProgramResult>;
  readonly #child: Deno.ChildProcess;
  readonly #closed = new AbortController();
  /** It was killed because it printed too much. */
  tooMuch = false;
  #hasEnded = false;

  constructor(argv: readonly string[], input: string | undefined) {
    this.#child = new Deno.Command("sh", {
      args: ["-c", SCRIPT, "sh", ...argv],
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      // A session of its own: virsh handles Ctrl-C of a terminal even where it is ignored, and libvirt
      // asks for passwords on a terminal.
      detached: true,
    }).spawn();
    if (input !== undefined) this.#write(input);
    this.ended = this.#result();
  }

  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
  }

  /** Kills it with the programs that it has started. Never rejects. */
  async killAll(): Promise<void> {
    try {
      if (!this.#hasEnded) await killGroup(this.#child);
    } catch {
      // This host starts no other program any more.
      this.kill();
    }
  }

  async #result(): Promise<ProgramResult> {
    const outputs = Promise.all([this.#read(this.#child.stdout), this.#read(this.#child.stderr)]);
    const { code } = await this.#child.status;
    this.#hasEnded = true;
    const timer = setTimeout(() => this.#closed.abort(), DRAIN_MS);
    const [stdout, stderr] = await outputs;
    clearTimeout(timer);
    return { code, stdout, stderr };
  }

  async #write(input: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(input));
      await writer.close();
    } catch {
      // It has ended without reading everything; its exit code says how.
    }
  }

  /** Never rejects. */
  async #read(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    const reader = stream.getReader();
    const cancel = () => void reader.cancel().catch(() => {});
    this.#closed.signal.addEventListener("abort", cancel);
    let [text, size] = ["", 0];
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        size += next.value.length;
        if (size > MAX_OUTPUT) {
          this.tooMuch = true;
          this.kill();
          // What follows is dropped.
          await reader.cancel();
          break;
        }
        text += decoder.decode(next.value, { stream: true });
      }
    } catch {
      // The pipe is closed.
    }
    return text + decoder.decode();
  }
}
