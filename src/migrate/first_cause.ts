import type { Clock } from "../io/mod.ts";
import { NbdProbeError } from "../nbd/mod.ts";
import { QmpClosedError } from "../qmp/mod.ts";
import { RpcError } from "../rpc/mod.ts";
import { StreamResetError } from "../tunnel/mod.ts";
import { type ErrorCode, MigrationError } from "./errors.ts";

/** How long the other end may take to say what was behind something that looks like a symptom, ms. */
export const CAUSE_MS = 2_000;
/** What QEMU here also says when something happened to the QEMU there. */
const SYMPTOMS: readonly ErrorCode[] = [
  "disk-write-failed",
  "disk-connection-closed",
  "ram-failed",
];

/**
 * Why a migration can't go on: the first reason counts. One that may be no more than what is seen
 * here of something that happened elsewhere waits a moment for that to be told.
 */
export class FirstCause {
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #symptom: { readonly reason: unknown } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
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
    const cancel = this.#clock.after(CAUSE_MS, () => this.#stop.abort(reason));
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
  // Its own fault, with the reason that it gave before, is told by whoever watches the connection.
  if (reason instanceof QmpClosedError) return true;
  // It could not connect a stream, for one: its QEMU may have ended.
  if (reason instanceof RpcError) return ["failed", "unknown-channel"].includes(reason.code);
  if (isCutStream(reason)) return true;
  if (!(reason instanceof MigrationError)) return false;
  return SYMPTOMS.includes(reason.code) || isCutStream(reason.cause);
}

/** The other end cut it, or what it was joined to went; the reason comes with the session's end. */
function isCutStream(reason: unknown): boolean {
  return reason instanceof StreamResetError || reason instanceof NbdProbeError;
}
