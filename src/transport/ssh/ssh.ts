/**
 * A vmferry on another host, over the standard input and output of the ssh that starts it. Keys,
 * agent, known hosts, jump hosts and configuration are ssh's affair.
 *
 * @module
 */
import { type BytePipe, printable } from "../../io/mod.ts";
import { SshError } from "../errors.ts";
import { NoPrefaceError, type Preface, skipBanner } from "./banner.ts";
import { cannotWords } from "./cannot_words.ts";
import { CannotCarryError, carry, type CarryOptions } from "./carry.ts";
import { linesOf } from "./lines.ts";
import { quoted } from "./quote.ts";
import { START_COMMAND } from "./start_script.ts";
import { isAdvice, isOurs, sshWords } from "./words.ts";

export interface SshOptions {
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** As after ssh's `-o`. */
  readonly options: readonly string[];
  /** The program on the other host, for its shell: a path, `sudo vmferry`. */
  readonly command: string;
  /** Its arguments; they are quoted here. */
  readonly args: readonly string[];
  /** What that program begins with. */
  readonly preface: Preface;
  /** Gets each line on standard error, ssh's own and the remote program's. */
  readonly onLine: (line: string) => void;
}

/** How long ssh may take to end by itself once its pipes are closed, ms. */
const END_MS = 3000;
/** Lines of standard error that are kept to explain how ssh ended. */
const KEPT_LINES = 50;
/** Exit code of a vmferry that refused. */
const REFUSED = 3;

/**
 * Ctrl-C and a terminal that closes signal every program of the terminal. ssh ignores both: vmferry still
 * needs the connection to cancel.
 */
const DEAF = 'trap "" INT HUP; exec ssh "$@"';

/** Every ssh that runs. The program waits for them before it ends. */
const running = new Set<Promise<unknown>>();

/** Waits until every ssh that was started has ended. Their pipes must be closed. */
export async function sshEnded(): Promise<void> {
  while (running.size > 0) await Promise.all(running);
}

/**
 * Starts ssh. The first read skips the text that a login prints. A read throws {@link SshError}:
 *
 * - with failure `refused` when the remote vmferry refused,
 * - with failure `failed` when there is none (not found, wrong host key, keys refused), or when the
 *   connection ended.
 */
export function connectSsh(options: SshOptions): BytePipe {
  return new SshPipe(options);
}

/** What {@link carrySsh} takes beside the options of ssh. */
export type Carrying = Pick<CarryOptions, "program" | "onProgress">;

/**
 * Starts ssh, and this version of vmferry on the other host. Where it is not there, this program sends
 * its own file, through the same connection.
 *
 * @param options `command` only names the remote program in messages.
 * @param signal ends ssh until the promise is settled.
 * @throws {SshError} as a read of {@link connectSsh}; also with failure `refused` when the other host
 * can't take this program.
 */
export async function carrySsh(
  options: SshOptions,
  carrying: Carrying,
  signal: AbortSignal,
): Promise<BytePipe> {
  signal.throwIfAborted();
  const pipe = new SshPipe(options, START_COMMAND);
  const abort = () => pipe.close();
  signal.addEventListener("abort", abort);
  try {
    await pipe.carry(carrying);
    return pipe;
  } catch (error) {
    pipe.close();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** The arguments of ssh. */
export function sshArguments(
  options: SshOptions,
  interactive: boolean,
  remote = remoteCommand(options),
): string[] {
  const { host, user, port } = options;
  return [
    "-T",
    ...(port === undefined ? [] : ["-p", String(port)]),
    // Where nobody can answer, ssh must not ask.
    ...(interactive ? [] : ["-o", "BatchMode=yes"]),
    ...options.options.flatMap((option) => ["-o", option]),
    "--",
    user === undefined ? host : `${user}@${host}`,
    remote,
  ];
}

function remoteCommand({ command, args }: SshOptions): string {
  return [command, ...args.map(quoted)].join(" ");
}

class SshPipe implements BytePipe {
  readonly #options: SshOptions;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #lines: string[] = [];
  /** Lines of the remote vmferry before its preface: an error quotes them if no preface comes. */
  #held: string[] = [];
  readonly #linesEnded: Promise<void>;
  #rest: Uint8Array = new Uint8Array();
  #begun = false;
  #closed = false;

  /** @param remote what the login shell there runs; default: the command of the options. */
  constructor(options: SshOptions, remote?: string) {
    this.#options = options;
    this.#child = new Deno.Command("sh", {
      args: ["-c", DEAF, "ssh", ...sshArguments(options, Deno.stdin.isTerminal(), remote)],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    // A write that fails throws by itself.
    this.#writer.closed.catch(() => {});
    this.#reader = this.#child.stdout.getReader();
    this.#linesEnded = this.#collect().finally(() => this.#tellHeld());
    const ended = Promise.all([this.#child.status, this.#linesEnded]);
    running.add(ended);
    ended.finally(() => running.delete(ended));
  }

  /** Has the start script bring about a vmferry, which speaks next. */
  async carry({ program, onProgress }: Carrying): Promise<void> {
    const { host, args, preface } = this.#options;
    const pipe: Pick<BytePipe, "read" | "write"> = {
      read: (into) => this.#read(into),
      write: (from) => this.write(from),
    };
    try {
      const { rest } = await carry(pipe, { program, args, preface, onProgress });
      this.#rest = rest;
    } catch (error) {
      if (error instanceof NoPrefaceError && !this.#closed) throw await this.#explained(error);
      if (!(error instanceof CannotCarryError)) throw error;
      const words = cannotWords(error, host, program);
      const code = "not-carried";
      throw new SshError(words, REFUSED, { cause: error, failure: "refused", code });
    }
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.#begun) return await this.#read(into);
    try {
      const rest = await skipBanner({ read: (into) => this.#read(into) }, this.#options.preface);
      this.#rest = rest;
      this.#begun = true;
      this.#tellHeld();
    } catch (error) {
      if (error instanceof NoPrefaceError && !this.#closed) throw await this.#explained(error);
      throw error;
    }
    return await this.#read(into);
  }

  async #read(into: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) {
      const { done, value } = await this.#reader.read();
      if (done) {
        if (!this.#begun || this.#closed) return null;
        throw await this.#lost();
      }
      this.#rest = value;
    }
    const n = Math.min(into.length, this.#rest.length);
    into.set(this.#rest.subarray(0, n));
    this.#rest = this.#rest.subarray(n);
    return n;
  }

  async write(from: Uint8Array): Promise<number> {
    try {
      await this.#writer.write(from);
    } catch {
      // The first read finds out why ssh ended.
      if (this.#begun) throw await this.#lost();
    }
    return from.length;
  }

  async closeWrite(): Promise<void> {
    await this.#writer.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writer.close().catch(() => {});
    // The remaining bytes are read and dropped, so that the remote program can finish.
    const drain = async () => {
      while (!(await this.#reader.read()).done);
    };
    drain().catch(() => {});
    const timer = setTimeout(() => this.#kill(), END_MS);
    this.#child.status.then(() => clearTimeout(timer));
    if (!this.#begun) this.#kill();
  }

  #kill(): void {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
  }

  /** The connection ended after the preface. */
  async #lost(): Promise<Error> {
    const { code } = await this.#child.status;
    await this.#linesEnded;
    const last = code === 255 ? this.#lines.at(-1) : undefined;
    const why = last === undefined ? "" : `: ${last}`;
    const message = `The ssh connection to ${this.#options.host} ended${why}`;
    return new SshError(message, code, { failure: "failed" });
  }

  /** Why no preface came. */
  async #explained(error: NoPrefaceError): Promise<Error> {
    // A program that is no vmferry may run for ever.
    this.#writer.close().catch(() => {});
    const timer = setTimeout(() => this.#kill(), END_MS);
    const { code } = await this.#child.status;
    clearTimeout(timer);
    await this.#linesEnded;
    const { host, user, port, command } = this.#options;
    const lines = this.#lines;
    const words = sshWords({ host, user, port, command, code, lines, said: error.said });
    const failure = code === REFUSED ? "refused" : "failed";
    return new SshError(words, code, { cause: error, failure });
  }

  #tell(line: string): void {
    // After `close` nobody waits for these lines.
    if (!this.#closed) this.#options.onLine(line);
  }

  #tellHeld(): void {
    const held = this.#held;
    this.#held = [];
    // Without a preface the error quotes the reason; only the advice is printed besides.
    const told = this.#begun ? held : held.filter(isAdvice);
    for (const line of told) this.#tell(line);
  }

  async #collect(): Promise<void> {
    for await (const line of linesOf(this.#child.stderr)) {
      const shown = printable(line.trimEnd());
      if (shown === "") continue;
      this.#lines.push(shown);
      if (this.#lines.length > KEPT_LINES) this.#lines.shift();
      if (!this.#begun && isOurs(shown)) this.#held.push(shown);
      else this.#tell(shown);
    }
  }
}
