/** Why a QMP connection could not be had, or what became of it. */
export type QmpErrorCode = "no-greeting" | "not-qmp" | "closed" | "timeout" | "line-too-long";

/** The QMP connection is of no use; every command that waits fails with this. */
export class QmpError extends Error {
  override name = "QmpError";
  readonly code: QmpErrorCode;
  constructor(code: QmpErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * How a QMP connection ended: vmferry closed it; QEMU announced that it shuts down (event SHUTDOWN);
 * QEMU closed it without a word; reading from or writing to it failed.
 */
export type QmpEnd = "by-us" | "shutdown" | "by-qemu" | "broken";

/** The connection is closed: by us, by QEMU, or because QEMU is gone. */
export class QmpClosedError extends QmpError {
  override name = "QmpClosedError";
  readonly end: QmpEnd;
  constructor(message: string, end: QmpEnd, options?: { readonly cause?: unknown }) {
    super("closed", message, options);
    this.end = end;
  }
}

/** QEMU did not answer in time. The command may still be carried out; a late answer is dropped. */
export class QmpTimeoutError extends QmpError {
  override name = "QmpTimeoutError";
  readonly command: string;
  constructor(command: string, ms: number) {
    super("timeout", `QEMU did not answer "${command}" within ${ms / 1000} s`);
    this.command = command;
  }
}

/** QEMU refused one command, or it failed. The connection goes on. */
export class QmpCommandError extends Error {
  override name = "QmpCommandError";
  /** QEMU's own class, such as `GenericError` or `DeviceNotFound`. */
  readonly class: string;
  readonly command: string;
  constructor(command: string, errorClass: string, description: string) {
    super(description);
    this.command = command;
    this.class = errorClass;
  }
}
