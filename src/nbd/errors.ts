/** What is wrong with an export or its server. */
export type NbdErrorCode =
  /** The peer is no NBD server, or one without the fixed newstyle negotiation. */
  | "not-nbd"
  /** The server wants TLS (NBD_REP_ERR_TLS_REQD). */
  | "tls-required"
  /** The server has no export of that name (NBD_REP_ERR_UNKNOWN). */
  | "unknown-export"
  /** The server refused an option or a request. */
  | "refused"
  /** The server broke the protocol. */
  | "protocol-error"
  /** The server hung up. */
  | "closed"
  /** The server did not answer in time. */
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
