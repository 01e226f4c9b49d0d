import { type BytePipe, type Clock, messageOf, systemClock, withDeadline } from "../io/mod.ts";
import { NbdError, NbdProbeError } from "./errors.ts";
import { askExport } from "./handshake.ts";
import type { NbdExportInfo } from "./options.ts";

export interface ProbeOptions {
  /** The export must have exactly this many bytes. */
  readonly expectedSizeBytes?: number;
  /** The export must be writable. */
  readonly writable?: boolean;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

/**
 * Connects to an export's server as a mirror would, asks for the export, and leaves. Owns the pipe.
 *
 * @throws {NbdProbeError} naming the export, what was got and what was expected.
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
    const code = error instanceof NbdError ? error.code : "timeout";
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
