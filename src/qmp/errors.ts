/** What is wrong with a QMP connection or a command. */
export type QmpErrorCode =
  /** QEMU sent no greeting, or took no connection: another client uses the socket. */
  | "no-greeting"
  /** The peer does not speak QMP. */
  | "not-qmp"
  /** The connection is over. */
  | "closed"
  /** No answer came in time, or a migration made no progress. */
  | "timeout";

/** The QMP connection is unusable; every command that waits fails with this. */
export class QmpError extends Error {
  /** The class, also in a bundle. */
  override name = "QmpError";
  /** What is wrong. */
  readonly code: QmpErrorCode;
  /** Makes the error; `message` is for people. */
  constructor(code: QmpErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** How a QMP connection ended. */
export type QmpEnd =
  /** This end closed it. */
  | "by-us"
  /** QEMU shut down (event SHUTDOWN). */
  | "shutdown"
  /** QEMU closed it without that event. */
  | "by-qemu"
  /** A read or write failed. */
  | "broken";

/** The connection is over: this end or QEMU closed it, or QEMU has ended. */
export class QmpClosedError extends QmpError {
  /** The class, also in a bundle. */
  override name = "QmpClosedError";
  /** How it ended. */
  readonly end: QmpEnd;
  /** Makes the error; `message` is for people. */
  constructor(message: string, end: QmpEnd, options?: { readonly cause?: unknown }) {
    super("closed", message, options);
    this.end = end;
  }
}

/** QEMU did not answer in time. It may still carry the command out; its late answer is dropped. */
export class QmpTimeoutError extends QmpError {
  /** The class, also in a bundle. */
  override name = "QmpTimeoutError";
  /** The command without an answer. */
  readonly command: string;
  /** Makes the error; `ms` is how long the client has waited. */
  constructor(command: string, ms: number) {
    super("timeout", `QEMU did not answer "${command}" within ${ms / 1000} s`);
    this.command = command;
  }
}

/** QEMU refused one command, or the command failed. The connection goes on. */
export class QmpCommandError extends Error {
  /** The class, also in a bundle. */
  override name = "QmpCommandError";
  /** QEMU's own class, such as `GenericError` or `DeviceNotFound`. */
  readonly class: string;
  /** The command. */
  readonly command: string;
  /** Makes the error; `description` is QEMU's and becomes the message. */
  constructor(command: string, errorClass: string, description: string) {
    super(description);
    this.command = command;
    this.class = errorClass;
  }
}
