import {
  type BytePipe,
  type Clock,
  DeadlineError,
  messageOf,
  systemClock,
  withDeadline,
} from "../../io/mod.ts";
import { NbdError, NbdProbeError } from "../errors.ts";
import { askExport } from "./handshake.ts";
import type { NbdExportInfo } from "./options.ts";

/** What to check, and how long. */
export interface ProbeOptions {
  /** The export must have exactly this many bytes. */
  readonly expectedSizeBytes?: number;
  /** The export must be writable. */
  readonly writable?: boolean;
  /** Deadline of the whole probe, ms. Default 10000. */
  readonly timeoutMs?: number;
  /** Default: the machine's own. */
  readonly clock?: Clock;
  /** Ends the probe. */
  readonly signal?: AbortSignal;
}

/**
 * Asks an NBD server for an export and leaves without a read or write (NBD_OPT_INFO, proto.md). Owns
 * the pipe.
 *
 * @throws {NbdProbeError} naming the export, the value and the expected one.
 * @throws the signal's reason when it is aborted.
 *
 * @example A server with one export of 1 MiB
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { serverSaying, WHOLE } from "../../../tests/nbd/dialogue.ts";
 *
 * const pipe = serverSaying(WHOLE);
 * const info = await probeExport(pipe, "disk", { expectedSizeBytes: 2 ** 20, writable: true });
 * assertEquals(info, { sizeBytes: 2 ** 20, readOnly: false });
 * ```
 */
export async function probeExport(
  pipe: BytePipe,
  exportName: string,
  options: ProbeOptions = {},
): Promise<NbdExportInfo> {
  const { timeoutMs = 10_000, clock = systemClock, signal } = options;
  const onAbort = () => pipe.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await withDeadline(
      clock,
      timeoutMs,
      `NBD export "${exportName}"`,
      look(pipe, exportName, options),
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof NbdProbeError) throw error;
    if (error instanceof DeadlineError) {
      throw new NbdProbeError("timeout", error.message, { cause: error });
    }
    // A pipe that fails was cut: its server, or the connection to it, is gone.
    const code = error instanceof NbdError ? error.code : "closed";
    throw new NbdProbeError(code, messageOf(error), { cause: error });
  } finally {
    signal?.removeEventListener("abort", onAbort);
    pipe.close();
  }
}

async function look(
  pipe: BytePipe,
  exportName: string,
  options: ProbeOptions,
): Promise<NbdExportInfo> {
  const info = await askExport(pipe, exportName);
  const { expectedSizeBytes, writable } = options;
  if (expectedSizeBytes !== undefined && info.sizeBytes !== expectedSizeBytes) {
    throw new NbdProbeError(
      "size-mismatch",
      `NBD export "${exportName}" has ${info.sizeBytes} bytes, expected ${expectedSizeBytes}`,
    );
  }
  if (writable && info.readOnly) {
    throw new NbdProbeError("read-only", `NBD export "${exportName}" is read-only`);
  }
  return info;
}
