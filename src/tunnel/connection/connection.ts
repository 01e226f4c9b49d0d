import { type BytePipe, type Clock, messageOf } from "../../io/mod.ts";
import type { ReadBuffer, ReadBufferPool } from "./buffers.ts";
import { ConnectionError, ProtocolError } from "../errors.ts";
import * as limits from "../limits.ts";
import { FrameParser, type FrameSink } from "../wire/frame.ts";
import { ConnectionReader } from "./reader.ts";

/** Takes the frames that come in on a connection. None of its methods may wait. */
export interface ConnectionInput extends FrameSink {
  readonly readBuffers: ReadBufferPool;
  /** The buffer in which the pieces of the following `dataPiece` calls lie. */
  reading(buffer: ReadBuffer): void;
}

/** What else a connection needs of its session. None of its methods may wait. */
export interface ConnectionHost {
  /** The next bytes to write, valid until the next call; `undefined` when there is nothing. */
  nextOutput(): Uint8Array | undefined;
  /** Nothing was received for a while, or the round trip is to be measured: a PING is wanted. */
  pingWanted(): void;
  /** The peer broke the protocol; the host sends its reason and ends the connection. */
  faulted(error: ProtocolError): void;
  /** Something came from the other end well after the connection began. Called once. */
  heardLate(): void;
}

/** How silence is judged (docs/tunnel-protocol.md, section 7). */
export interface Liveness {
  /** Silence after which a PING is sent, ms. */
  readonly pingAfterMs: number;
  /** Silence, or a write without progress, after which the connection is dead, ms. */
  readonly deadAfterMs: number;
}

/**
 * One connection under a session: the loop that reads, the loop that writes, and the watch over
 * both. The read loop waits for the socket and nothing else, or acknowledgements and credit behind
 * bulk data would wait too. Owns the pipe.
 */
export class Connection {
  readonly #pipe: BytePipe;
  readonly #host: ConnectionHost;
  readonly #input: ConnectionInput;
  readonly #clock: Clock;
  readonly #liveness: Liveness;
  readonly parser: FrameParser;
  #cause: Error | undefined;
  #wakeWriter: (() => void) | undefined;
  #endCause: Error | undefined;
  #heard = false;
  #heardLate = false;
  #silent = false;
  #livedMs = 0;
  #silentMs = 0;
  #writes = 0;
  #writing = false;
  #writingSince = 0;
  #writesSeen = 0;
  #stuckMs = 0;
  #bytesRead = 0;
  #bytesWritten = 0;
  #bytesAtPing = 0;
  #pingAt: number | undefined;
  #rttMs: number | undefined;
  #lastRttMs: number | undefined;
  #stopWatch: () => void = () => {};
  /** Resolves, once both loops have ended, with the reason. Never rejects. */
  readonly over: Promise<Error>;

  constructor(
    pipe: BytePipe,
    host: ConnectionHost,
    input: ConnectionInput,
    clock: Clock,
    liveness: Liveness,
  ) {
    this.#pipe = pipe;
    this.#host = host;
    this.#input = input;
    this.#clock = clock;
    this.#liveness = liveness;
    this.parser = new FrameParser(input);
    this.#watch();
    this.over = Promise.all([this.#readLoop(), this.#writeLoop()]).then(() => this.#cause!);
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Something came from the other end well after the connection began: it works both ways. */
  get heardLate(): boolean {
    return this.#heardLate;
  }

  /** It was closed because nothing came. */
  get silent(): boolean {
    return this.#silent;
  }

  /** As the pipe's. */
  get delaysSmallWrites(): boolean {
    return this.#pipe.delaysSmallWrites ?? false;
  }

  /** How long the write that is under way has taken so far, ms; 0 without one. */
  get writingForMs(): number {
    return this.#writing ? this.#clock.now() - this.#writingSince : 0;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** The shortest round trip so far, ms. */
  get rttMs(): number {
    return this.#rttMs ?? limits.FIRST_RTT_MS;
  }

  /** The latest round trip, ms; `undefined` until one was measured. */
  get lastRttMs(): number | undefined {
    return this.#lastRttMs;
  }

  /** A PING goes out now. Where several are on their way, the first one counts. */
  pingSent(): void {
    this.#pingAt ??= this.#clock.now();
  }

  /** Its PONG is here. */
  pongReceived(): void {
    if (this.#pingAt === undefined) return;
    const rtt = this.#clock.now() - this.#pingAt;
    this.#pingAt = undefined;
    this.#lastRttMs = rtt;
    this.#rttMs = Math.min(this.#rttMs ?? Infinity, rtt);
  }

  /** There may be something to write. */
  wake(): void {
    const wake = this.#wakeWriter;
    this.#wakeWriter = undefined;
    wake?.();
  }

  /** Ends the connection at once; `over` resolves with the first cause given. */
  close(cause: Error): void {
    if (this.#cause) return;
    this.#cause = cause;
    this.#stopWatch();
    this.#pipe.close();
    this.wake();
  }

  /**
   * Ends the connection when the host's output is written and the other end has hung up. Until then
   * everything that comes is read and dropped: a socket that is closed with bytes unread discards its
   * last write (TCP sends RST). The host sets the deadline, by `close`.
   */
  closeAfterOutput(cause: Error): void {
    this.#endCause = cause;
    this.wake();
  }

  async #readLoop(): Promise<void> {
    const reader = new ConnectionReader(this.#pipe, this.#input.readBuffers);
    try {
      while (!this.#cause) {
        const run = await reader.next();
        if (run === null) {
          const where = this.parser.atBoundary ? "" : " in the middle of a frame";
          throw new ConnectionError(`The other end closed the connection${where}`);
        }
        this.#heard = true;
        this.#bytesRead += run.length;
        // A connection that was ended meanwhile must not deliver: `received` is final.
        if (this.#cause) return;
        if (this.#endCause) continue;
        this.#input.reading(run.buffer);
        try {
          this.parser.push(run.bytes, run.length);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          this.#host.faulted(error);
        }
      }
    } catch (error) {
      this.close(this.#endCause ?? asConnectionError(error));
    } finally {
      reader.close();
    }
  }

  async #writeLoop(): Promise<void> {
    try {
      while (!this.#cause) {
        const out = this.#host.nextOutput();
        if (out === undefined) {
          // The session may have ended while it looked for output.
          if (this.#cause) return;
          if (this.#endCause) return await this.#pipe.closeWrite();
          await new Promise<void>((resolve) => this.#wakeWriter = resolve);
          continue;
        }
        this.#writing = true;
        this.#writingSince = this.#clock.now();
        let done = 0;
        while (done < out.length) {
          done += await this.#pipe.write(done === 0 ? out : out.subarray(done));
          this.#writes++;
        }
        this.#writing = false;
        this.#bytesWritten += out.length;
      }
    } catch (error) {
      this.close(this.#endCause ?? asConnectionError(error));
    }
  }

  /**
   * Counts silence in ticks of a timer, not by the clock: a process that was stopped for a while
   * (SIGSTOP, a busy host) must not take its own pause for the peer's silence.
   */
  #watch(): void {
    const { pingAfterMs, deadAfterMs } = this.#liveness;
    const tick = Math.max(10, Math.min(500, pingAfterMs / 4));
    // A silence that begins right after a tick is counted from the next one on.
    const isOver = (countedMs: number) => countedMs + tick >= deadAfterMs;
    const onTick = () => {
      if (this.#cause) return;
      const before = this.#silentMs;
      this.#silentMs = this.#heard ? 0 : before + tick;
      // Bytes that came earlier may have been sent together with the handshake.
      if (this.#heard && this.#livedMs >= pingAfterMs / 2 && !this.#heardLate) {
        this.#heardLate = true;
        this.#host.heardLate();
      }
      this.#livedMs += tick;
      this.#heard = false;
      const stuck = this.#writing && this.#writes === this.#writesSeen;
      this.#stuckMs = stuck ? this.#stuckMs + tick : 0;
      this.#writesSeen = this.#writes;
      if (isOver(this.#silentMs)) {
        this.#silent = true;
        return this.close(
          new ConnectionError(`The other end sent nothing for ${deadAfterMs / 1000} s`),
        );
      }
      if (isOver(this.#stuckMs)) {
        return this.close(
          new ConnectionError(`The other end took no bytes for ${deadAfterMs / 1000} s`),
        );
      }
      const moved = this.#bytesRead + this.#bytesWritten - this.#bytesAtPing;
      const silent = before < pingAfterMs && this.#silentMs >= pingAfterMs;
      // A PING also measures the round trip, which the cap on bytes in flight depends on.
      if (silent || moved >= limits.RTT_PROBE_BYTES) {
        this.#bytesAtPing = this.#bytesRead + this.#bytesWritten;
        this.#host.pingWanted();
      }
      this.#stopWatch = this.#clock.after(tick, onTick);
    };
    this.#stopWatch = this.#clock.after(tick, onTick);
  }
}

function asConnectionError(error: unknown): Error {
  if (error instanceof ProtocolError || error instanceof ConnectionError) return error;
  return new ConnectionError(messageOf(error), { cause: error });
}
