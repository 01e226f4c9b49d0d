import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import * as limits from "../limits.ts";
import type { Compressed, Compressor } from "./compressor.ts";
import { workerAddress } from "./worker_script.ts";

/** The part of a `Worker` in use. */
export interface WorkerLike {
  /** Gets the answers. */
  onmessage: ((event: MessageEvent) => void) | null;
  /** Gets an error that the worker did not catch. */
  onerror: ((event: ErrorEvent) => void) | null;
  /** Sends a message with these buffers, which are gone here afterwards. */
  postMessage(message: unknown, transfer: Transferable[]): void;
  /** Ends it at once. */
  terminate(): void;
}

/** What a {@link WorkerCompressor} needs. */
export interface WorkerCompressorOptions {
  /** The time. */
  readonly clock: Clock;
  /** Gets the reason if it fails. */
  readonly log: Logger;
  /** Starts the worker. Default: one with zstd. */
  readonly startWorker?: () => WorkerLike;
}

/** The worker's answer. */
interface Answer {
  readonly bytes: ArrayBuffer | null;
  readonly tookMs: number;
}

const AS_IT_IS: Compressed = { bytes: undefined, tookMs: 0 };

/**
 * Compresses in a worker: `node:zlib` compresses on the thread that calls it, also by its asynchronous
 * functions (Deno 2.9). Never fails: where there is no worker or it does not answer, pieces come back
 * as they are. Owns the worker.
 */
export class WorkerCompressor implements Compressor {
  readonly #clock: Clock;
  readonly #log: Logger;
  #worker: WorkerLike | undefined;
  readonly #waiting: ((result: Compressed) => void)[] = [];
  #answers = 0;
  #failed = false;
  #stopWatch: (() => void) | undefined;

  /** Starts the worker. */
  constructor(options: WorkerCompressorOptions) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#log.log("debug", "a worker starts that compresses");
    try {
      const worker = this.#worker = (options.startWorker ?? zstdWorker)();
      worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#onAnswer(data);
      worker.onerror = (event) => {
        // Otherwise the error would end the program.
        event.preventDefault();
        this.#fail(event.message);
      };
    } catch (error) {
      this.#fail(messageOf(error));
    }
  }

  /** {@inheritDoc Compressor.failed} */
  get failed(): boolean {
    return this.#failed;
  }

  /** {@inheritDoc Compressor.jobs} */
  get jobs(): number {
    return this.#waiting.length;
  }

  /** {@inheritDoc Compressor.compress} */
  compress(raw: Uint8Array, room: number, done: (result: Compressed) => void): void {
    if (!this.#worker) {
      queueMicrotask(() => done(AS_IT_IS));
      return;
    }
    const copy = raw.slice();
    this.#waiting.push(done);
    this.#worker.postMessage({ raw: copy.buffer, room }, [copy.buffer]);
    if (!this.#stopWatch) this.#watch();
  }

  /** {@inheritDoc Compressor.close} */
  close(): void {
    this.#stopWatch?.();
    this.#stopWatch = undefined;
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const done of this.#waiting.splice(0)) queueMicrotask(() => done(AS_IT_IS));
  }

  #onAnswer({ bytes, tookMs }: Answer): void {
    this.#answers++;
    this.#waiting.shift()?.({ bytes: bytes ? new Uint8Array(bytes) : undefined, tookMs });
  }

  /** Counts ticks of a timer, not time: a process that was stopped for a while has done nothing. */
  #watch(answers = this.#answers, ticks = 0): void {
    this.#stopWatch = this.#clock.after(limits.COMPRESS_TICK_MS, () => {
      this.#stopWatch = undefined;
      if (this.#waiting.length === 0) return;
      const stuck = this.#answers === answers ? ticks + 1 : 0;
      if (stuck >= limits.COMPRESS_TICKS) this.#fail("it does not answer");
      else this.#watch(this.#answers, stuck);
    });
  }

  #fail(why: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#log.log("info", `nothing is compressed any more: the compressor failed: ${why}`);
    this.close();
  }
}

function zstdWorker(): WorkerLike {
  const address = workerAddress(
    limits.ZSTD_LEVEL,
    limits.ZSTD_WINDOW_LOG,
    limits.WORTH_COMPRESSING,
  );
  return new Worker(address, { type: "module" });
}
