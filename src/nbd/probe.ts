import { type BytePipe, type Clock, messageOf, systemClock, withDeadline } from "../io/mod.ts";
import { NbdError, NbdProbeError } from "./errors.ts";
import { type NbdExportInfo, negotiate } from "./handshake.ts";
import { disconnect, readRange } from "./transmission.ts";

/** Bytes that are read for a look, where the export's block size does not ask for more. */
const FIRST_READ = 512;

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
 * Connects to an export as a mirror would, looks at it, and leaves. Owns the pipe.
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
  const info = await negotiate(pipe, exportName);
  // A look at its first bytes: an export whose medium can't be read fails here and not in a job.
  const length = Math.min(info.sizeBytes, Math.max(FIRST_READ, info.blockSizes?.minimum ?? 0));
  if (length > 0) await readRange(pipe, { offset: 0, length, structured: info.structuredReplies });
  await disconnect(pipe);
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
