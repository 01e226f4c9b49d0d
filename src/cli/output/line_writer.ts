import { systemClock, withDeadline, writeAll } from "../../io/mod.ts";

/** What a line writer writes to: `Deno.stdout`, `Deno.stderr`. */
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
}

/** Text that may wait for a reader that is slow, characters. */
const MAX_WAITING = 1024 * 1024;
/** How long the end may wait for a reader that does not read, ms. */
const FLUSH_MS = 2000;

/**
 * Writes text in order and never blocks its caller. Optional text (progress) is dropped while earlier
 * text still waits; other text waits up to a bound.
 */
export class LineWriter {
  readonly #sink: Sink;
  #waiting = "";
  #writing: Promise<void> | undefined;
  /** The reader has not taken yet what was written last. */
  #slow = false;
  #broken = false;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Writes `text` as it is. With `skippable` only if nothing waits before it. */
  write(text: string, skippable = false): void {
    if (this.#broken || (skippable && this.#slow)) return;
    if (this.#waiting.length + text.length > MAX_WAITING) return;
    this.#waiting += text;
    this.#writing ??= this.#drain();
  }

  /** Waits until all is written, but not for a reader that has stopped. */
  async flush(): Promise<void> {
    if (!this.#writing) return;
    await withDeadline(systemClock, FLUSH_MS, "the output to be read", this.#writing)
      .catch(() => {});
  }

  async #drain(): Promise<void> {
    const encoder = new TextEncoder();
    await new Promise((resolve) => setTimeout(resolve, 0));
    try {
      while (this.#waiting !== "") {
        const text = this.#waiting;
        this.#waiting = "";
        this.#slow = true;
        await writeAll({ write: (b) => this.#sink.write(b) }, encoder.encode(text));
        this.#slow = false;
      }
    } catch {
      // Nobody reads any more (EPIPE); what we do is worth doing all the same.
      this.#broken = true;
    } finally {
      this.#writing = undefined;
    }
  }
}
