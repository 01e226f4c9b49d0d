/**
 * Commands that the user gives as text: hooks, `--start` and `--stop`. sh reads them: they are the user's own
 * words, and no part of them comes from anywhere else.
 *
 * @module
 */
import { DeadlineError, printable, systemClock } from "../../../io/mod.ts";
import { killGroup } from "../run_program.ts";

/** How long its outputs are read after its end, ms: a process that it left behind may have them open. */
const DRAIN_MS = 200;
/** Most lines that are passed on; the rest is dropped. */
const MOST_LINES = 1_000;
/** Longest line, characters; the rest of it counts as a line of its own. */
const LONGEST_LINE = 1_000;
/** Lines of standard error that a message quotes. */
const QUOTED_LINES = 5;
/** Longest quotation, characters. */
const LONGEST_QUOTE = 600;

/** What a command needs. */
export interface SiteCommandOptions {
  /** Added to vmferry's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** How long it may take, ms; then its process group is killed. */
  readonly timeoutMs: number;
  /** Kills its process group when aborted. */
  readonly signal?: AbortSignal;
  /** Gets each line of its outputs. */
  readonly onLine: (line: string) => void;
}

/** Runs a command, as {@link runSiteCommand} does. */
export type RunSiteCommand = (command: string, options: SiteCommandOptions) => Promise<void>;

/** A command has failed; the message says how, and quotes the end of its standard error. */
export class SiteCommandError extends Error {
  /** The class, also in a bundle. */
  override name = "SiteCommandError";
}

/**
 * Runs a command to its end. A process that it leaves behind keeps running, and its output is lost.
 *
 * @throws {SiteCommandError} when its exit code is not 0, a signal ended it, or it took too long.
 * @throws the signal's reason when aborted; the command is killed by then.
 */
export async function runSiteCommand(
  command: string,
  { env, timeoutMs, signal, onLine }: SiteCommandOptions,
): Promise<void> {
  signal?.throwIfAborted();
  const child = new Deno.Command("sh", {
    args: ["-c", command],
    ...{ env, stdin: "null", stdout: "piped", stderr: "piped" },
    // A process group of its own, to be killed as a whole; Ctrl-C in a terminal does not reach it.
    detached: true,
  }).spawn();
  const errors: string[] = [];
  let lines = 0;
  const pass = (line: string) => {
    if (lines++ < MOST_LINES) onLine(line);
  };
  const closed = new AbortController();
  const outputs = Promise.all([
    readLines(child.stdout, closed.signal, pass),
    readLines(child.stderr, closed.signal, (line) => {
      pass(line);
      if (line.trim() !== "") errors.push(line.trim());
      if (errors.length > QUOTED_LINES) errors.shift();
    }),
  ]);
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => {});
  const onAbort = () => stopped.reject(signal!.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const stopTimer = systemClock.after(
    timeoutMs,
    () => stopped.reject(new DeadlineError(`took longer than ${timeoutMs / 1000} s`)),
  );
  try {
    const { code, signal: by } = await Promise.race([child.status, stopped.promise]);
    await drain(outputs, closed);
    if (code === 0) return;
    throw new SiteCommandError(quoting(by ? `was ended by ${by}` : `ended with ${code}`, errors));
  } catch (error) {
    if (error instanceof SiteCommandError) throw error;
    await killGroup(child);
    await drain(outputs, closed);
    if (!(error instanceof DeadlineError)) throw error;
    throw new SiteCommandError(quoting(error.message, errors), { cause: error });
  } finally {
    stopTimer();
    signal?.removeEventListener("abort", onAbort);
  }
}

function quoting(how: string, errors: readonly string[]): string {
  if (errors.length === 0) return how;
  return `${how}: "${printable(errors.join("; "), LONGEST_QUOTE)}"`;
}

/** Everything that the command itself has written is in the pipes by now. */
async function drain(outputs: Promise<unknown>, closed: AbortController): Promise<void> {
  const timer = setTimeout(() => closed.abort(), DRAIN_MS);
  await outputs;
  clearTimeout(timer);
}

/** Resolves at the end of the stream, or soon after `closed`. Never rejects. */
async function readLines(
  stream: ReadableStream<Uint8Array>,
  closed: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  closed.addEventListener("abort", cancel, { once: true });
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const [...lines] = (rest + decoder.decode(next.value, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) onLine(printable(line, LONGEST_LINE));
      for (; rest.length > LONGEST_LINE; rest = rest.slice(LONGEST_LINE)) {
        onLine(printable(rest.slice(0, LONGEST_LINE), LONGEST_LINE));
      }
    }
  } catch {
    // The pipe is closed.
  }
  if (rest !== "") onLine(printable(rest, LONGEST_LINE));
  closed.removeEventListener("abort", cancel);
}
