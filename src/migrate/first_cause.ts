import type { Clock } from "../io/mod.ts";
import { NbdProbeError } from "../nbd/mod.ts";
import { QmpClosedError } from "../qmp/mod.ts";
import { RpcError } from "../rpc/mod.ts";
import { StreamResetError } from "../tunnel/mod.ts";
import { type ErrorCode, MigrationError } from "./errors.ts";

/** How long the other side may take to report the failure behind a symptom, ms. */
export const CAUSE_MS = 2_000;
/** The same while the guest runs: a busy destination undoes first, and reports the failure then. */
const RUNNING_CAUSE_MS = 8_000;
/** Codes that a QEMU's failure on the other side also leads to. */
const SYMPTOMS: readonly ErrorCode[] = [
  "disk-write-failed",
  "disk-connection-closed",
  "ram-failed",
];

/**
 * Why a migration can't go on: the first reason counts. One that may be a symptom of a
 * failure on the other side waits a moment for the report of that failure.
 */
export class FirstCause {
  readonly #clock: Clock;
  readonly #isPaused: () => boolean;
  readonly #stop = new AbortController();
  #symptom: { readonly reason: unknown } | undefined;

  /** @param isPaused the guest waits for the end of this. */
  constructor(clock: Clock, isPaused: () => boolean) {
    this.#clock = clock;
    this.#isPaused = isPaused;
  }

  /** Aborted with the cause. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Takes note of a reason. */
  take(reason: unknown): void {
    if (this.#stop.signal.aborted) return;
    if (!isSymptom(reason)) return this.#stop.abort(reason);
    if (this.#symptom) return;
    this.#symptom = { reason };
    const ms = this.#isPaused() ? CAUSE_MS : RUNNING_CAUSE_MS;
    const cancel = this.#clock.after(ms, () => this.#stop.abort(reason));
    this.#stop.signal.addEventListener("abort", cancel, { once: true });
  }

  /** The cause, once it is certain, of work that ended with `thrown`. */
  async settle(thrown: unknown): Promise<unknown> {
    const { signal } = this.#stop;
    this.take(thrown);
    if (!signal.aborted) {
      await new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve(), { once: true })
      );
    }
    return signal.reason;
  }
}

function isSymptom(reason: unknown): boolean {
  // The watch of the QMP connection reports the failure itself, with the reason that QEMU gave.
  if (reason instanceof QmpClosedError) return true;
  // The peer could not connect a stream, for example because its QEMU has ended.
  if (reason instanceof RpcError) return ["failed", "unknown-channel"].includes(reason.code);
  if (isCutStream(reason)) return true;
  if (!(reason instanceof MigrationError)) return false;
  return SYMPTOMS.includes(reason.code) || isCutStream(reason.cause);
}

/** The peer reset it, or its other half has ended; the session's end has the reason. */
function isCutStream(reason: unknown): boolean {
  return reason instanceof StreamResetError || reason instanceof NbdProbeError;
}
