/** What is wrong with an export, or with what answers in its place. */
export type NbdErrorCode =
  | "not-nbd"
  | "tls-required"
  | "unknown-export"
  | "refused"
  | "protocol-error"
  | "closed"
  | "timeout"
  | "size-mismatch"
  | "read-only";

/** The NBD connection is of no use. */
export class NbdError extends Error {
  override name = "NbdError";
  readonly code: NbdErrorCode;
  constructor(code: NbdErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** An export is not what it must be. */
export class NbdProbeError extends NbdError {
  override name = "NbdProbeError";
}
