import { type Logger, messageOf } from "../../io/mod.ts";
import type { Report } from "../../migrate/mod.ts";
import { UsageError } from "../args/usage_error.ts";
import type { Identity } from "../control/status_board.ts";
import { Metrics } from "./metrics.ts";

/** Least time between two writes for progress alone, ms: node_exporter reads every 15 s or so. */
const PROGRESS_MS = 1000;

/** Where a command reports. */
interface Told {
  readonly report: Report;
  readonly log: Logger;
}

/**
 * A file with the metrics of a migration, for the textfile collector of node_exporter: replaced as a whole, so
 * that no reader sees half of it. It stays after the migration, with the outcome. Events pass through it.
 */
export class MetricsFile implements Told, AsyncDisposable {
  /** As that of the output. A file that cannot be written any more is a warning, once. */
  readonly report: Report;
  readonly log: Logger;
  /** `undefined`: no metrics are wanted. */
  readonly #path: string | undefined;
  readonly #metrics = new Metrics(() => Date.now() / 1000);
  #writing: Promise<void> = Promise.resolve();
  #isQueued = false;
  #writtenAt = -Infinity;
  #failed: string | undefined;
  #isWarned = false;

  /**
   * Writes the file for the first time.
   *
   * @param path `undefined`: no metrics are wanted.
   * @throws {UsageError} when it cannot be written.
   */
  static async open(path: string | undefined, output: Told): Promise<MetricsFile> {
    const file = new MetricsFile(path, output);
    await file.#write();
    if (file.#failed === undefined) return file;
    throw new UsageError(`--metrics: vmferry cannot write ${path}: ${file.#failed}`);
  }

  private constructor(path: string | undefined, { report, log }: Told) {
    this.#path = path;
    this.log = log;
    this.report = path === undefined ? report : (event) => {
      this.#metrics.note(event);
      report(event);
      const isDue = event.event !== "progress" ||
        performance.now() - this.#writtenAt >= PROGRESS_MS;
      if (isDue) this.#queue().then(() => this.#warn(report));
    };
  }

  /** Which guest it is; known once QEMU was asked. */
  readonly identify = (identity: Pick<Identity, "role" | "guest">): void => {
    this.#metrics.identify(identity);
    this.#queue();
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue();
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

  #warn(report: Report): void {
    if (this.#failed === undefined || this.#isWarned) return;
    this.#isWarned = true;
    const message = `vmferry cannot write ${this.#path}: ${this.#failed}`;
    report({ event: "warning", code: "metrics", message });
  }

  async #write(): Promise<void> {
    if (this.#path === undefined) return;
    this.#writtenAt = performance.now();
    // node_exporter reads no file with another ending than .prom.
    const partial = `${this.#path}.${Deno.pid}.tmp`;
    try {
      await Deno.writeTextFile(partial, this.#metrics.text(), { mode: 0o644 });
      await Deno.rename(partial, this.#path);
    } catch (error) {
      this.#failed ??= messageOf(error);
      await Deno.remove(partial).catch(() => {});
    }
  }
}
