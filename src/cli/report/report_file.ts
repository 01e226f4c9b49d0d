import { messageOf } from "../../io/mod.ts";
import type { MigrationEvent } from "../../migrate/mod.ts";
import { UsageError } from "../args/usage_error.ts";
import type { CopyEvent } from "../output/events.ts";
import type { RunHistory } from "./history.ts";
import { page } from "./page.ts";

/** Least time between two writes while the run goes on, ms: what a process that is killed may lose of its report. */
const EVERY_MS = 10_000;

/**
 * The file of `--report`. It is replaced as a whole, so that a reader never sees half of it, and first written when
 * the run has something to report: an older report outlives a command that cannot begin.
 */
export class ReportFile implements AsyncDisposable {
  readonly #path: string;
  readonly #history: RunHistory;
  readonly #warn: (message: string) => void;
  #writing: Promise<void> = Promise.resolve();
  #isQueued = false;
  #hasEvents = false;
  #writtenAt = -Infinity;
  #failed: string | undefined;
  #isWarned = false;

  /**
   * Makes sure that the file can be written, and writes it as `history` grows.
   *
   * @param warn gets the reason, once, if the file cannot be written later.
   * @throws {UsageError} when it cannot be written.
   */
  static async open(
    path: string,
    history: RunHistory,
    warn: (message: string) => void,
  ): Promise<ReportFile> {
    const file = new ReportFile(path, history, warn);
    const problem = await file.#try();
    if (problem !== undefined) {
      throw new UsageError(`--report: vmferry cannot write ${path}: ${problem}`);
    }
    history.onEvent((event) => file.#onEvent(event));
    return file;
  }

  private constructor(path: string, history: RunHistory, warn: (message: string) => void) {
    [this.#path, this.#history, this.#warn] = [path, history, warn];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEvents) await this.#queue();
  }

  /** Why it cannot be written; nothing of the file that is there changes. */
  async #try(): Promise<string | undefined> {
    try {
      await Deno.writeTextFile(this.#partial, "", { mode: 0o600 });
      await Deno.remove(this.#partial);
      const found = await Deno.stat(this.#path).catch((error) => {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      });
      if (found && !found.isFile) return "there is something that is no file";
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  #onEvent(event: MigrationEvent | CopyEvent): void {
    // A page that nothing has happened in yet says nothing.
    if (event.event === "warning" && !this.#hasEvents) return;
    this.#hasEvents = true;
    const isOver = event.event === "result" || event.event === "copy";
    // While the guest is paused nothing may take the processor that can wait.
    const mayWait = event.event === "progress" || event.event === "traffic";
    const isDue = mayWait && performance.now() - this.#writtenAt >= EVERY_MS;
    if (isOver || isDue) this.#queue().then(() => this.#tellFailure());
  }

  get #partial(): string {
    return `${this.#path}.${Deno.pid}.tmp`;
  }

  /** Writes after the write under way; what comes until then is in it. */
  #queue(): Promise<void> {
    if (this.#isQueued) return this.#writing;
    this.#isQueued = true;
    return this.#writing = this.#writing.then(() => {
      this.#isQueued = false;
      return this.#write();
    });
  }

  #tellFailure(): void {
    if (this.#failed === undefined || this.#isWarned) return;
    this.#isWarned = true;
    const message = `vmferry cannot write ${this.#path}: ${this.#failed}`;
    this.#warn(message);
  }

  async #write(): Promise<void> {
    this.#writtenAt = performance.now();
    try {
      const text = await page(this.#history.data());
      await Deno.writeTextFile(this.#partial, text, { mode: 0o600 });
      await Deno.rename(this.#partial, this.#path);
    } catch (error) {
      this.#failed ??= messageOf(error);
      await Deno.remove(this.#partial).catch(() => {});
    }
  }
}
