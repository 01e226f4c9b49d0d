import * as limits from "../limits.ts";
import type { Link } from "./connection.ts";

/**
 * The connection under a session, or none: what the session's parts may ask of it at any time. The
 * session puts a connection in and takes it out, and alone ends it.
 */
export class LinkSlot {
  #link: Link | undefined;
  #bytesBefore = 0;

  /** The connection in use; `undefined` while there is none. */
  get link(): Link | undefined {
    return this.#link;
  }

  /** Bytes on the wire so far, both directions, of all connections together. */
  get bytes(): number {
    return this.#bytesBefore + (this.#link?.bytesRead ?? 0) + (this.#link?.bytesWritten ?? 0);
  }

  /** Shortest round trip seen on the connection, ms. */
  get rttMs(): number {
    return this.#link?.rttMs ?? limits.FIRST_RTT_MS;
  }

  /** As of the pipe below. */
  get delaysSmallWrites(): boolean {
    return this.#link?.delaysSmallWrites ?? false;
  }

  put(link: Link): void {
    this.#link = link;
  }

  /** Takes the connection out, once it is over. */
  drop(): void {
    if (this.#link) this.#bytesBefore += this.#link.bytesRead + this.#link.bytesWritten;
    this.#link = undefined;
  }

  /** There may be something to write. */
  wake(): void {
    this.#link?.wake();
  }

  /** A PING that measures the round trip goes out now. */
  pingSent(): void {
    this.#link?.pingSent();
  }

  /** Its PONG is here. */
  pongReceived(): void {
    this.#link?.pongReceived();
  }
}
