import { type Clock, messageOf } from "../../io/mod.ts";
import { type BlockDevice, NbdDeviceError, type NbdErrno } from "../../nbd/mod.ts";
import { partsOf } from "./extents.ts";
import { runsOf } from "./zeroes.ts";

/** Bytes of one request, aligned in the image. */
const REQUEST_BYTES = 1024 * 1024;
/** Requests under way at once; each has a buffer of {@link REQUEST_BYTES}. */
const REQUESTS = 16;
/** Longest range of zeroes in one request, bytes: a server may be silent while it works on it. */
const ZERO_BYTES = 1024 ** 3;
/** How often what has arrived is flushed and noted, ms: a later run continues there. */
const CHECKPOINT_MS = 5_000;

/** One of the two devices failed a request. */
export class CopyDeviceError extends Error {
  /** The class, also in a bundle. */
  override name = "CopyDeviceError";
  /** Which of the two it was. */
  readonly device: "source" | "target";
  /** The device's error; `undefined` where its connection failed. */
  readonly errno: NbdErrno | undefined;
  /** Makes the error from the device's own. */
  constructor(device: "source" | "target", cause: unknown) {
    super(messageOf(cause), { cause });
    this.device = device;
    this.errno = cause instanceof NbdDeviceError ? cause.errno : undefined;
  }
}

/** What is copied, and how. */
export interface CopyDeviceOptions {
  /** Is read. */
  readonly source: BlockDevice;
  /** Is written, no smaller than the source. */
  readonly target: BlockDevice;
  /** Bytes from the start that the target already has, on stable storage. */
  readonly from: number;
  /** From there on the target has zeroes where the source does. */
  readonly zeroed: boolean;
  /** Called for data and zeroes that have arrived, bytes. */
  readonly onData: (bytes: number) => void;
  /** Everything up to this offset is on stable storage. Called in order, never twice at once. */
  readonly onCheckpoint: (doneBytes: number) => Promise<void>;
  /** The time. */
  readonly clock: Clock;
  /** Stops the copy. */
  readonly signal: AbortSignal;
}

/**
 * Copies a device: reads only what is not known to be zeroes, writes only what has data, and flushes at the end. At most
 * {@link REQUESTS} buffers of {@link REQUEST_BYTES} are in use. When it rejects, no request is under way any more.
 *
 * @throws {CopyDeviceError} for the first request that failed.
 * @throws as `onCheckpoint`; the signal's reason when that is aborted.
 */
export async function copyDevice(options: CopyDeviceOptions): Promise<void> {
  await new DeviceCopy(options).run();
}

class DeviceCopy {
  readonly #options: CopyDeviceOptions;
  readonly #buffers: Uint8Array[] = [];
  /** Offsets of the requests under way. */
  readonly #active = new Set<number>();
  #free = REQUESTS;
  #wake: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** Where the next request begins. */
  #next: number;
  #checkpoint: Promise<void> | undefined;
  #checkpointAt: number;

  constructor(options: CopyDeviceOptions) {
    this.#options = options;
    this.#next = options.from;
    this.#checkpointAt = options.clock.now() + CHECKPOINT_MS;
  }

  async run(): Promise<void> {
    const { source, from, signal } = this.#options;
    const onAbort = () => this.#fail(signal.reason);
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    try {
      const parts = partsOf(source, from);
      while (!this.#failure) {
        const next = await parts.next().catch((error) => {
          throw new CopyDeviceError("source", error);
        });
        if (next.done) break;
        await this.#copyPart(next.value.offset, next.value.length, next.value.zero);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    await this.#drained();
    await this.#checkpoint;
    if (this.#failure) throw this.#failure.error;
    await this.#flushed(source.sizeBytes);
  }

  async #copyPart(begin: number, length: number, zero: boolean): Promise<void> {
    const end = begin + length;
    if (zero && this.#options.zeroed) {
      this.#next = end;
      return;
    }
    const most = zero ? ZERO_BYTES : REQUEST_BYTES;
    for (let at = begin; at < end;) {
      if (this.#free === 0) await new Promise<void>((resolve) => this.#wake = resolve);
      if (this.#failure) return;
      this.#noteProgress();
      const part = Math.min(most - at % most, end - at);
      this.#start(at, zero ? this.#writeZeroes(at, part) : this.#copy(at, part));
      at += part;
      this.#next = at;
    }
  }

  #start(offset: number, work: Promise<void>): void {
    this.#free--;
    this.#active.add(offset);
    work.catch((error) => this.#fail(error)).finally(() => {
      this.#free++;
      this.#active.delete(offset);
      this.#wakeUp();
    });
  }

  async #copy(offset: number, length: number): Promise<void> {
    const { source, target, zeroed, onData } = this.#options;
    const buffer = this.#buffers.pop() ?? new Uint8Array(REQUEST_BYTES);
    const bytes = buffer.subarray(0, length);
    try {
      await of("source", source.read(offset, bytes));
      const { data, zeroes } = runsOf(bytes, offset);
      const writes = data.map((run) => {
        const begin = run.offset - offset;
        return target.write(run.offset, bytes.subarray(begin, begin + run.length));
      });
      const clears = zeroed ? [] : zeroes.map((run) => this.#writeZeroes(run.offset, run.length));
      // The buffer is in use until all have settled.
      const settled = await Promise.allSettled([...writes.map((w) => of("target", w)), ...clears]);
      for (const result of settled) if (result.status === "rejected") throw result.reason;
      onData(length);
    } finally {
      this.#buffers.push(buffer);
    }
  }

  async #writeZeroes(offset: number, length: number): Promise<void> {
    const { target } = this.#options;
    if (target.can.writeZeroes) return await of("target", target.writeZeroes(offset, length));
    const zeroes = new Uint8Array(Math.min(length, REQUEST_BYTES));
    for (let at = 0; at < length; at += zeroes.length) {
      const part = zeroes.subarray(0, Math.min(zeroes.length, length - at));
      await of("target", target.write(offset + at, part));
    }
  }

  /** Begins a checkpoint where it is time for one and none is under way. */
  #noteProgress(): void {
    const { clock, from } = this.#options;
    if (this.#checkpoint || clock.now() < this.#checkpointAt) return;
    // Requests finish out of order.
    const doneBytes = Math.min(this.#next, ...this.#active);
    if (doneBytes <= from) return;
    this.#checkpoint = this.#flushed(doneBytes).catch((error) => this.#fail(error)).finally(() => {
      this.#checkpoint = undefined;
      this.#checkpointAt = clock.now() + CHECKPOINT_MS;
    });
  }

  async #flushed(doneBytes: number): Promise<void> {
    const { target, onCheckpoint } = this.#options;
    if (target.can.flush) await of("target", target.flush());
    await onCheckpoint(doneBytes);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  async #drained(): Promise<void> {
    while (this.#active.size > 0) await new Promise<void>((resolve) => this.#wake = resolve);
  }
}

/** Names the device of a request's failure. */
async function of(device: "source" | "target", request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    throw new CopyDeviceError(device, error);
  }
}
