import {
  type BytePipe,
  type Clock,
  messageOf,
  systemClock,
  withDeadline,
  writeAll,
} from "../io/mod.ts";
import { NbdError, NbdProbeError } from "./errors.ts";
import { type NbdExportInfo, negotiate } from "./handshake.ts";
import { CMD_DISC, REQUEST_MAGIC } from "./wire.ts";

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

/** Says goodbye (NBD_CMD_DISC) and waits for the server to hang up. */
async function disconnect(pipe: BytePipe): Promise<void> {
  const request = new Uint8Array(28);
  const view = new DataView(request.buffer);
  view.setUint32(0, REQUEST_MAGIC);
  view.setUint16(6, CMD_DISC);
  await writeAll(pipe, request);
  await pipe.closeWrite();
  const scrap = new Uint8Array(64);
  while (await pipe.read(scrap) !== null) {
    // A server has nothing to say any more; whatever comes is not looked at.
  }
}
