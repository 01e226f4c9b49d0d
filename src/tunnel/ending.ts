import type { Clock } from "../io/mod.ts";
import type { Acknowledger } from "./receive/acknowledger.ts";
import { ConnectionError, type ProtocolError, SessionError } from "./errors.ts";
import type { InboundHost } from "./receive/inbound.ts";
import * as limits from "./limits.ts";
import type { ConnectionSlot } from "./connection/slot.ts";
import type { SendQueue } from "./send/send_queue.ts";
import type { StreamTable } from "./stream/table.ts";
import type { GoawayCode } from "./wire/layout.ts";

export interface EndingOptions {
  readonly clock: Clock;
  readonly slot: ConnectionSlot;
  readonly queue: SendQueue;
  readonly acks: Acknowledger;
  readonly streams: StreamTable;
  /** Called once, when the session is over and before its streams fail. */
  readonly onOver: () => void;
}

/**
 * How a session ends (docs/tunnel-protocol.md, section 7): both ends send GOAWAY `done`, or one of
 * them gives up, or no connection comes back. Stops the other parts and closes the connection. Owned
 * by the session.
 */
export class Ending implements InboundHost {
  readonly #clock: Clock;
  readonly #slot: ConnectionSlot;
  readonly #queue: SendQueue;
  readonly #acks: Acknowledger;
  readonly #streams: StreamTable;
  readonly #onOver: () => void;
  #peerDone = false;
  #over = false;
  readonly #ended = Promise.withResolvers<SessionError | undefined>();

  constructor(options: EndingOptions) {
    this.#clock = options.clock;
    this.#slot = options.slot;
    this.#queue = options.queue;
    this.#acks = options.acks;
    this.#streams = options.streams;
    this.#onOver = options.onOver;
  }

  /** Resolves at the end: `undefined` after a clean one, else why. Never rejects. */
  get ended(): Promise<SessionError | undefined> {
    return this.#ended.promise;
  }

  /**
   * Both ends have sent GOAWAY `done`: each has everything that the other sent. Only the last
   * acknowledgement may still be on its way.
   */
  get bothDone(): boolean {
    return this.#peerDone && this.#queue.goawaySent;
  }

  /** Both ends have sent GOAWAY `done`, and the peer has acknowledged ours. */
  get settled(): boolean {
    return this.bothDone && this.#queue.goawayAcked;
  }

  /**
   * Ends the session cleanly: waits until the streams have ended, sends GOAWAY `done`, waits for the
   * other end's; aborts after `deadlineMs`.
   *
   * @returns why it did not end cleanly, or `undefined`.
   */
  async close(deadlineMs: number): Promise<SessionError | undefined> {
    if (!this.#over) {
      this.#queue.wantGoaway();
      const cancel = this.#clock.after(
        deadlineMs,
        () =>
          this.abort(
            `The session could not be ended cleanly within ${deadlineMs / 1000} s`,
            "stopped",
          ),
      );
      await this.ended;
      cancel();
    }
    return await this.ended;
  }

  /** No connection comes back; that is a clean end when both ends have sent GOAWAY `done`. */
  lost(reason: string, cause: unknown): void {
    this.end(this.bothDone ? undefined : new SessionError("lost", reason, { cause }));
  }

  /** Ends the session now; the other end gets the reason if it reads within a second. */
  abort(reason: string, code: GoawayCode): void {
    this.#abort(new SessionError("closed", reason), code, reason);
  }

  /** The other end broke the protocol: ends the session as `abort` does. */
  faulted(error: ProtocolError): void {
    this.#abort(
      new SessionError("protocol-error", `The other end broke the protocol: ${error.message}`, {
        cause: error,
      }),
      error.goaway,
      error.message,
    );
  }

  /** The other end broke the protocol in another lane; `error` says how. */
  faultedBeside(error: SessionError): void {
    this.#abort(error, "protocol-error", error.message);
  }

  /** Ends the session and closes its connection. Does nothing when it is over already. */
  end(error: SessionError | undefined): void {
    if (this.#over) return;
    const connection = this.#slot.current;
    this.#finish(error);
    connection?.close(error ?? new ConnectionError("The session ended"));
  }

  // InboundHost

  peerDone(): void {
    this.#peerDone = true;
    this.#acks.owe();
    this.#queue.wantGoaway();
  }

  endedByPeer(reason: string): void {
    const message = `The other end ended the session: ${reason}`;
    this.end(new SessionError("ended-by-peer", message, { peerReason: reason }));
  }

  #abort(error: SessionError, code: GoawayCode, reason: string): void {
    if (this.#over) return;
    const connection = this.#slot.current;
    this.#queue.sendFatal(code, reason);
    this.#finish(error);
    if (!connection) return;
    connection.closeAfterOutput(error);
    const cancel = this.#clock.after(limits.LAST_WORD_MS, () => connection.close(error));
    connection.over.then(cancel);
  }

  #finish(error: SessionError | undefined): void {
    this.#over = true;
    this.#onOver();
    this.#queue.stop();
    this.#acks.stop();
    this.#streams.failAll(error ?? new SessionError("closed", "The session has ended"));
    this.#ended.resolve(error);
  }
}
