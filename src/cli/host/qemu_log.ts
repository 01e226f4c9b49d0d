/**
 * Finds the log of the QEMU behind a QMP socket, and reads what was added to it.
 *
 * A shell does it: Deno keeps a program with less than all permissions out of /proc. It runs as long
 * as the migration, because a log stays readable after QEMU's end only to a process that has it open.
 *
 * @module
 */
import { type Logger, messageOf, systemClock, withDeadline } from "../../io/mod.ts";
import { FIND_LOG } from "./find_log.ts";

/** How long the log may take to be found, ms: a migration does not wait for it for longer. */
const FIND_MS = 1_000;
/** How long the log may take to be read, ms; journalctl is the slowest. */
const READ_MS = 1_500;
/** How long the shell may take to end, ms. */
const END_MS = 1_000;

/** The log of one QEMU, from where it ended when this was made. Owns the shell. */
export class QemuLog implements AsyncDisposable {
  readonly #log: Logger;
  #child: Deno.ChildProcess | undefined;
  /** What the shell has printed, all of it. */
  #said: Promise<string> | undefined;
  readonly #ready = Promise.withResolvers<void>();
  #text: Promise<string | undefined> | undefined;

  /**
   * Begins to look for the log. Where there is none, or no shell, {@link read} says so.
   *
   * @param qmpPath QMP socket as it was given; symbolic links are followed.
   */
  constructor(qmpPath: string, log: Logger) {
    this.#log = log;
    try {
      this.#child = new Deno.Command("sh", {
        args: ["-c", FIND_LOG, "sh", qmpPath],
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      this.#said = this.#collect(this.#child.stdout).catch(() => "");
    } catch (error) {
      log.log("debug", `QEMU's log: ${messageOf(error)}`);
      this.#ready.resolve();
    }
  }

  /** Resolves when the log is open or there is none, in a second at most. Never rejects. */
  async ready(): Promise<void> {
    await withDeadline(systemClock, FIND_MS, "QEMU's log to be found", this.#ready.promise)
      .catch((error) => this.#log.log("debug", messageOf(error)));
  }

  /** What QEMU has written since; asked again, the same. Never rejects. */
  readonly read = (): Promise<string | undefined> => this.#text ??= this.#read();

  async #read(): Promise<string | undefined> {
    if (!this.#child || !this.#said) return undefined;
    try {
      const writer = this.#child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("read\n"));
      await writer.close();
      const text = await withDeadline(systemClock, READ_MS, "QEMU's log", this.#said);
      const added = text.replace(/^ready\n/, "");
      return added === "" ? undefined : added;
    } catch (error) {
      this.#log.log("debug", `QEMU's log: ${messageOf(error)}`);
      return undefined;
    }
  }

  async #collect(stdout: ReadableStream<Uint8Array>): Promise<string> {
    let text = "";
    try {
      for await (const part of stdout.pipeThrough(new TextDecoderStream())) {
        text += part;
        this.#ready.resolve();
      }
    } finally {
      this.#ready.resolve();
    }
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#child) return;
    await this.#child.stdin.close().catch(() => {});
    await withDeadline(systemClock, END_MS, "the shell to end", this.#child.status).catch(() => {
      this.#child?.kill("SIGKILL");
    });
    await this.#said;
  }
}
