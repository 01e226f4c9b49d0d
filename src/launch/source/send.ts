/**
 * Sends files to the destination, one after the other.
 *
 * @module
 */
import { afterStall, type Clock, DeadlineError, messageOf } from "../../io/mod.ts";
import { MigrationError, type Report } from "../../migrate/mod.ts";
import type { Session, TunnelStream } from "../../tunnel/mod.ts";
import type { PlannedCopy } from "../plan/plan.ts";

/** Bytes that are read at a time; no more of a file is in memory, beside the session's own buffers. */
const CHUNK = 256 * 1024;
/** How long the destination may take none of a file, or sync it once it has all, ms. */
const STALL_MS = 300_000;
/** Shortest time between two events of progress, ms. */
const EVERY_MS = 500;

/** A file of the source, open for reading. */
export interface OpenFile extends Disposable {
  /**
   * Reads the next bytes.
   *
   * @returns how many bytes were read, or `null` at the end.
   */
  read(into: Uint8Array): Promise<number | null>;
}

/** A stream to the destination. */
export type SendStream = Pick<
  TunnelStream,
  "write" | "closeWrite" | "read" | "widenWindow" | "reset" | "close"
>;

/** What sending takes. */
export interface SendAccess {
  readonly peer: {
    readonly session: Pick<Session, "patienceMs">;
    readonly openChannel: (channel: string, signal: AbortSignal) => Promise<SendStream>;
  };
  readonly open: (path: string) => Promise<OpenFile>;
  readonly report: Report;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Sends the files; the destination checks their SHA-256 before it starts QEMU.
 *
 * @throws {MigrationError} code `file-changed`, when a file has become shorter or longer meanwhile.
 */
export async function sendFiles(
  copies: readonly PlannedCopy[],
  access: SendAccess,
): Promise<void> {
  const progress = new Progress(copies, access);
  for (const copy of copies) await sendFile(copy, access, progress);
}

async function sendFile(
  copy: PlannedCopy,
  { peer, open, clock, signal }: SendAccess,
  progress: Progress,
): Promise<void> {
  using file = await open(copy.from);
  const stream = await peer.openChannel(copy.channel, signal);
  const onAbort = () => stream.reset("cancelled", messageOf(signal.reason));
  signal.addEventListener("abort", onAbort, { once: true });
  let sent = 0;
  let stalled: Error | undefined;
  const stopTimer = afterStall(clock, STALL_MS + peer.session.patienceMs, () => sent, () => {
    stalled = new DeadlineError(
      `Waited ${STALL_MS / 1000} s for the destination to take ${copy.from}`,
    );
    stream.reset("cancelled", stalled.message);
  });
  try {
    stream.widenWindow();
    const buffer = new Uint8Array(CHUNK);
    for (let n = await file.read(buffer); n !== null; n = await file.read(buffer)) {
      signal.throwIfAborted();
      let rest = buffer.subarray(0, n);
      while (rest.length > 0) rest = rest.subarray(await stream.write(rest));
      sent += n;
      progress.add(copy.name, n);
      if (sent > copy.sizeBytes) break;
    }
    if (sent !== copy.sizeBytes) throw changed(copy, sent);
    await stream.closeWrite();
    // The destination ends the stream once it has everything.
    while (await stream.read(buffer) !== null);
  } catch (error) {
    signal.throwIfAborted();
    stream.reset("cancelled", messageOf(error));
    throw stalled ?? error;
  } finally {
    stopTimer();
    signal.removeEventListener("abort", onAbort);
    stream.close();
  }
}

function changed({ from, sizeBytes }: PlannedCopy, sent: number): MigrationError {
  const message =
    `${from} was ${sizeBytes} bytes long, and ${sent} bytes were read: it has changed. Try ` +
    "again when nobody writes to it";
  return new MigrationError("failed", "file-changed", "source", message);
}

/** Reports how far the files are. */
class Progress {
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #sent = new Map<string, number>();
  readonly #report: Report;
  readonly #clock: Clock;
  readonly #start: number;
  #last = -Infinity;

  constructor(copies: readonly PlannedCopy[], { report, clock }: SendAccess) {
    this.#sizes = new Map(copies.map(({ name, sizeBytes }) => [name, sizeBytes]));
    this.#report = report;
    this.#clock = clock;
    this.#start = clock.now();
  }

  add(name: string, bytes: number): void {
    const sent = (this.#sent.get(name) ?? 0) + bytes;
    this.#sent.set(name, sent);
    const now = this.#clock.now();
    if (now - this.#last < EVERY_MS && sent < this.#sizes.get(name)!) return;
    this.#last = now;
    const disks = [...this.#sizes].map(([name, total]) => {
      const transferred = this.#sent.get(name) ?? 0;
      return { name, transferred, total, ready: transferred === total };
    });
    const done = disks.reduce((sum, { transferred }) => sum + transferred, 0);
    const left = disks.reduce((sum, { total }) => sum + total, 0) - done;
    const rate = Math.round(done * 1000 / Math.max(1, now - this.#start));
    const eta = rate > 0 ? Math.round(left / rate) : null;
    this.#report({ event: "progress", phase: "launch", disks, ram: null, rate, eta });
  }
}
