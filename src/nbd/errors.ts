import { ERRORS } from "./wire.ts";

/** What is wrong with an export, its server or its client. */
export type NbdErrorCode =
  /** The peer does not speak NBD, or not the fixed newstyle negotiation. */
  | "not-nbd"
  /** The server wants TLS (NBD_REP_ERR_TLS_REQD). */
  | "tls-required"
  /** The server has no export of that name (NBD_REP_ERR_UNKNOWN). */
  | "unknown-export"
  /** The server refused an option or a request. */
  | "refused"
  /** The peer broke the protocol. */
  | "protocol-error"
  /** The peer hung up. */
  | "closed"
  /** The peer did not answer in time. */
  | "timeout"
  /** The export has another size than expected. */
  | "size-mismatch"
  /** The export is not writable. */
  | "read-only";

/** An NBD connection or a request on it failed. */
export class NbdError extends Error {
  /** The class, also in a bundle. */
  override name = "NbdError";
  /** What is wrong. */
  readonly code: NbdErrorCode;
  /** Makes the error; `message` is for people. */
  constructor(code: NbdErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** An export cannot be used as a mirror's target. */
export class NbdProbeError extends NbdError {
  /** The class, also in a bundle. */
  override name = "NbdProbeError";
}

/** Errors of a request that NBD knows (proto.md, "Error values"). */
export type NbdErrno = keyof typeof ERRORS;

/** A block device refused or failed one request; the device itself may still work. */
export class NbdDeviceError extends NbdError {
  /** The class, also in a bundle. */
  override name = "NbdDeviceError";
  /** The error that travels to the client. */
  readonly errno: NbdErrno;
  /** Makes the error; its code is `refused`. */
  constructor(errno: NbdErrno, message: string, options?: { readonly cause?: unknown }) {
    super("refused", message, options);
    this.errno = errno;
  }
}

/** The error with this number; EINVAL for a number that proto.md does not list, as it recommends. */
export function errnoOf(number: number): NbdErrno {
  for (const [name, value] of Object.entries(ERRORS)) {
    if (value === number) return name as NbdErrno;
  }
  return "EINVAL";
}
