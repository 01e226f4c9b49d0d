/**
 * The QEMU process behind a QMP socket. A shell looks at /proc: Deno keeps a program with less than all
 * permissions out of it.
 *
 * @module
 */
import type { RunProgram } from "../../host/mod.ts";
import type { QemuProcess } from "../../launch/mod.ts";

/** A process that cannot be described. */
export class QemuProcessError extends Error {
  /** The class, also in a bundle. */
  override name = "QemuProcessError";
  /**
   * `not-found`: no QEMU of this host has the socket. `denied`: it belongs to another user. `several`:
   * more than one process has the socket. `container`: its files are not this host's. `unreadable`: its
   * command line is not UTF-8, or it ended meanwhile.
   */
  readonly failure: "not-found" | "denied" | "several" | "container" | "unreadable";
  /** Makes the error; the message says what to do. */
  constructor(failure: QemuProcessError["failure"], message: string) {
    super(message);
    this.failure = failure;
  }
}

/**
 * Describes the process that serves a QMP socket.
 *
 * @param qmpPath as it was given; symbolic links are followed.
 * @throws {QemuProcessError} when it is not found or cannot be looked at.
 * @throws as `RunProgram`.
 */
export function describeProcess(_run: RunProgram, _qmpPath: string): Promise<QemuProcess> {
  throw new Error("not yet");
}
