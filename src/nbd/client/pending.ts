/**
 * Requests that wait for their replies, and the rules that a reply must obey.
 *
 * @module
 */
import type { ByteRange } from "../device.ts";
import { errnoOf, NbdDeviceError, NbdError } from "../errors.ts";
import * as wire from "../wire.ts";
import type { Coverage } from "./coverage.ts";

/** A request that is under way. Offsets and lengths in bytes. */
export interface Asked {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  /** Filled by a read; without it the reply has no data. */
  readonly into?: Uint8Array;
}

/** An extent of a metadata context: bytes, and the context's flags. */
export interface StatusExtent {
  readonly length: number;
  readonly flags: number;
}

/** What a reply has brought. */
export interface Answer {
  /** Holes of a read, sorted. */
  readonly holes: ByteRange[];
  /** The extents of a block status. */
  status: StatusExtent[];
}

/** A request whose reply has not ended. */
export interface Pending extends Asked, Answer {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly coverage: Coverage;
  hasStatus: boolean;
  /** From an error chunk; the reply goes on until its last chunk. */
  error?: NbdDeviceError;
}

/** Where in a read's bytes this part belongs. */
export function placeOf(pending: Pending, offset: number, length: number): number {
  const at = offset - pending.offset;
  if (pending.coverage.add(at, length)) return at;
  throw broken("Got data from outside the requested range, or a part of it twice");
}

/** @throws {NbdError} for a reply that succeeds without its content. */
export function checkWhole(pending: Pending): void {
  const { type, coverage, hasStatus } = pending;
  if (type === wire.CMD_READ && !coverage.isWhole) throw broken("Got less data than was requested");
  if (type === wire.CMD_BLOCK_STATUS && !hasStatus) throw broken("Got no status of any block");
}

/** The error for a server that breaks the protocol. */
export function broken(message: string): NbdError {
  return new NbdError("protocol-error", message);
}

/** The error for a request that the server refused. */
export function failed(error: number, text: string): NbdDeviceError {
  const errno = errnoOf(error);
  const reason = text ? `: ${text}` : "";
  return new NbdDeviceError(errno, `The NBD server answered a request with ${errno}${reason}`);
}
