import { NbdProbeError, probeExport } from "../nbd/mod.ts";
import type { DestinationPeer } from "./destination_peer.ts";
import { MigrationError } from "./errors.ts";
import type { Mirror } from "./mirrors.ts";

/** Probes under way at a time. */
const PROBES = 8;
/** How long a probe may take beside the time that a link may be away, ms. */
const PROBE_MS = 30_000;

/**
 * Looks at every export through the tunnel, so that a wrong one is a message and no failed job.
 *
 * @throws {MigrationError} naming the disk whose export is not as it should be.
 */
export async function probeExports(
  peer: DestinationPeer,
  disks: readonly Mirror[],
  options: { readonly graceMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const { graceMs, signal } = options;
  const queue = [...disks];
  const worker = async () => {
    let disk: Mirror | undefined;
    while ((disk = queue.shift())) {
      const { name, sizeBytes, exportName } = disk;
      const stream = await peer.openChannel("nbd", signal);
      try {
        await probeExport(stream, exportName, {
          expectedSizeBytes: sizeBytes,
          writable: true,
          timeoutMs: graceMs + PROBE_MS,
          signal,
        });
      } catch (error) {
        if (!(error instanceof NbdProbeError)) throw error;
        const message = `disk ${name}: ${error.message}`;
        throw new MigrationError("failed", `probe-${error.code}`, "destination", message, {
          cause: error,
        });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(PROBES, disks.length) }, worker));
}
