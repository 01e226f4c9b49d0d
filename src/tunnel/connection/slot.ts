import * as limits from "../limits.ts";
import type { Connection } from "./connection.ts";

/**
 * The connection under a session, or none. The session's parts use it at any time; the session alone
 * puts a connection in, takes it out and ends it.
 */
export class ConnectionSlot {
  #current: Connection | undefined;
  #bytesBefore = 0;
  #heardBefore = false;

  /** The connection in use; `undefined` while there is none. */
  get current(): Connection | undefined {
    return this.#current;
  }

  /** Bytes on the wire so far, both directions, of all connections together. */
  get bytes(): number {
    return this.#bytesBefore + (this.#current?.bytesRead ?? 0) + (this.#current?.bytesWritten ?? 0);
  }

  /** Something has come from the other end behind a handshake. */
  get heard(): boolean {
    return this.#heardBefore || (this.#current?.bytesRead ?? 0) > 0;
  }

  /** Shortest round trip seen on the connection, ms. */
  get rttMs(): number {
    return this.#current?.rttMs ?? limits.FIRST_RTT_MS;
  }

  /** The latest round trip on the connection, ms; `undefined` where none was measured. */
  get lastRttMs(): number | undefined {
    return this.#current?.lastRttMs;
  }

  /** As the pipe's. */
  get delaysSmallWrites(): boolean {
    return this.#current?.delaysSmallWrites ?? false;
  }

  /** How long the write that is under way has taken so far, ms; 0 without one. */
  get writingForMs(): number {
    return this.#current?.writingForMs ?? 0;
  }

  put(connection: Connection): void {
    this.#current = connection;
  }

  /** Takes the connection out, once it is over. */
  drop(): void {
    this.#heardBefore = this.heard;
    if (this.#current) this.#bytesBefore += this.#current.bytesRead + this.#current.bytesWritten;
    this.#current = undefined;
  }

  /** There may be something to write. */
  wake(): void {
    this.#current?.wake();
  }

  /** A PING that measures the round trip goes out now. */
  pingSent(): void {
    this.#current?.pingSent();
  }

  /** Its PONG is here. */
  pongReceived(): void {
    this.#current?.pongReceived();
  }
}
