/**
 * virsh, libvirt's command line, with one connection.
 *
 * @module
 */
import { ProgramError, type RunProgram } from "../host/mod.ts";
import { batches, joinCommands, splitAnswers } from "./batch.ts";

/** How many questions of a batch that failed are asked one by one at a time. */
const AT_ONCE = 4;

/** How long virsh may take, ms. libvirt waits 30 s for a job of the domain by itself. */
const DEFAULT_TIMEOUT_MS = 40_000;

/** How one virsh runs. */
export interface VirshOptions {
  /** How long it may take, ms; 40 s by default. */
  readonly timeoutMs?: number;
  /** Kills it. */
  readonly signal?: AbortSignal;
  /** Its standard input. */
  readonly input?: string;
}

/** A virsh that failed or could not be run. */
export class VirshError extends Error {
  /** The class, also in a bundle. */
  override name = "VirshError";
  /** `not-found`: this host has no virsh. */
  readonly failure: "not-found" | "failed";
  /** The command and its arguments, without the connection. */
  readonly args: readonly string[];
  /** What libvirt says, whole, lines joined by line breaks, without the prefix `error: `. */
  readonly text: string;
  /** Makes the error. */
  constructor(
    failure: "not-found" | "failed",
    args: readonly string[],
    text: string,
    options?: { readonly cause?: unknown },
  ) {
    super(`virsh ${args[0] ?? ""}: ${text}`, options);
    this.failure = failure;
    this.args = args;
    this.text = text;
  }
}

/** How one question is asked. */
export type AskOptions = Pick<VirshOptions, "timeoutMs" | "signal">;

/** A question that waits for its batch. */
interface Question {
  readonly args: readonly string[];
  readonly options: AskOptions;
  readonly answer: PromiseWithResolvers<string>;
}

/** Runs virsh. */
export class Virsh {
  /** URI of its connection. */
  readonly uri: string;
  readonly #run: RunProgram;
  #waiting: Question[] = [];

  /** Needs no running libvirt: each call connects by itself. */
  constructor(options: { readonly run: RunProgram; readonly uri: string }) {
    this.#run = options.run;
    this.uri = options.uri;
  }

  /**
   * Runs one command. Texts of users go after an option (`--domain NAME`), where virsh takes them as
   * they are, also with a dash in front.
   *
   * @returns its standard output.
   * @throws {VirshError} when it fails.
   * @throws {DeadlineError} when it takes too long.
   * @throws the signal's reason.
   */
  async call(args: readonly string[], options: VirshOptions = {}): Promise<string> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, ...rest } = options;
    // Quiet: without headings, and without a line after the output.
    const argv = ["virsh", "--quiet", "--connect", this.uri, ...args];
    const result = await started(args, this.#run(argv, { timeoutMs, ...rest }));
    if (result.code !== 0) throw virshFailure(args, result);
    return result.stdout;
  }

  /**
   * Runs one command that changes nothing, as {@link call}. Commands that are asked in one turn of the
   * event loop share a process and its connection, which take most of the time. It may run twice: after
   * a failure each runs alone, so that its error is its own.
   */
  ask(args: readonly string[], options: AskOptions = {}): Promise<string> {
    const answer = Promise.withResolvers<string>();
    this.#waiting.push({ args, options, answer });
    if (this.#waiting.length === 1) queueMicrotask(() => this.#askAll());
    return answer.promise;
  }

  #askAll(): void {
    const bySignal = Map.groupBy(this.#waiting, ({ options }) => options.signal);
    this.#waiting = [];
    for (const asked of bySignal.values()) {
      for (const batch of batches(asked)) void this.#askBatch(batch);
    }
  }

  /** Never rejects. */
  async #askBatch(batch: readonly Question[]): Promise<void> {
    if (batch.length > 1) {
      try {
        const answers = await this.#together(batch);
        if (answers) return batch.forEach(({ answer }, i) => answer.resolve(answers[i]!));
      } catch (error) {
        return batch.forEach(({ answer }) => answer.reject(error));
      }
    }
    const queue = [...batch];
    const worker = async () => {
      for (let next; (next = queue.shift());) {
        const { args, options, answer } = next;
        await this.call(args, options).then(answer.resolve, answer.reject);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  /** @returns `undefined` where one of them may have failed. */
  async #together(batch: readonly Question[]): Promise<string[] | undefined> {
    const mark = crypto.randomUUID();
    const signal = batch[0]!.options.signal;
    const limits = batch.map(({ options }) => options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const commands = batch.map(({ args }) => args);
    const running = this.#run(
      ["virsh", "--quiet", "--connect", this.uri, joinCommands(commands, mark)],
      { timeoutMs: Math.max(...limits), ...(signal ? { signal } : {}) },
    );
    const result = await started(commands[0]!, running);
    return splitAnswers(result, batch.length, mark);
  }
}

/** The version of this host's virsh, such as `9.0.0`. Connects to nothing. */
export async function clientVersion(run: RunProgram): Promise<string> {
  const args = ["--version"];
  const argv = ["virsh", ...args];
  const result = await started(args, run(argv, { timeoutMs: DEFAULT_TIMEOUT_MS }));
  if (result.code !== 0) throw virshFailure(args, result);
  return result.stdout.trim();
}

/** The error of a virsh that has ended with another code than 0. */
export function virshFailure(
  args: readonly string[],
  result: { readonly code: number; readonly stderr: string },
): VirshError {
  return new VirshError("failed", args, libvirtText(result.stderr) || `exit code ${result.code}`);
}

/**
 * What libvirt says on virsh's standard error: each line that is not empty, without `error: `.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   libvirtText("error: failed to get domain 'vm1'\nerror: Domain not found\n\n"),
 *   "failed to get domain 'vm1'\nDomain not found",
 * );
 * ```
 */
export function libvirtText(stderr: string): string {
  return stderr.split("\n")
    .map((line) => line.trimEnd().replace(/^error: /, ""))
    .filter((line) => line !== "")
    .join("\n");
}

async function started<T>(args: readonly string[], running: Promise<T>): Promise<T> {
  try {
    return await running;
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    throw new VirshError(error.failure, args, error.message, { cause: error });
  }
}
