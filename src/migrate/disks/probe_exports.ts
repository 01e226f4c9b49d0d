import { NbdProbeError, probeExport } from "../../nbd/mod.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import { MigrationError } from "../errors.ts";
import type { Mirror } from "./mirror_set.ts";

/** Number of probes at a time. */
const PROBES = 8;
/** How long a probe may take, ms, on top of the time that the connection may be lost for. */
const PROBE_MS = 30_000;

/**
 * Tries when the server closes the connection: QEMU limits a negotiation to 10 s, during which vmferry
 * may have been stopped or the connection lost.
 */
const TRIES = 3;

/**
 * Opens every export through the tunnel and compares it with its disk, so that a wrong export becomes a
 * message and not a failed mirror job.
 *
 * @param options `awayMs`: how long the connection may be lost for, ms.
 * @throws {MigrationError} code `probe-*`, naming the disk.
 * @throws {SessionError} when the session ends.
 */
export async function probeExports(
  peer: Pick<DestinationPeer, "openChannel">,
  disks: readonly Mirror[],
  options: { readonly awayMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const queue = [...disks];
  const worker = async () => {
    let disk: Mirror | undefined;
    while ((disk = queue.shift())) await probeDisk(peer, disk, options);
  };
  await Promise.all(Array.from({ length: Math.min(PROBES, disks.length) }, worker));
}

async function probeDisk(
  peer: Pick<DestinationPeer, "openChannel">,
  { name, sizeBytes, exportName }: Mirror,
  { awayMs, signal }: { readonly awayMs: number; readonly signal: AbortSignal },
): Promise<void> {
  let before: MigrationError | undefined;
  for (let tries = 1;; tries++) {
    const stream = await peer.openChannel("nbd", signal).catch((error) => {
      throw before ?? error;
    });
    try {
      await probeExport(stream, exportName, {
        expectedSizeBytes: sizeBytes,
        writable: true,
        timeoutMs: awayMs + PROBE_MS,
        signal,
      });
      return;
    } catch (error) {
      if (!(error instanceof NbdProbeError)) throw error;
      const { code, message } = error;
      before = new MigrationError(
        "failed",
        `probe-${code}`,
        "destination",
        `disk ${name}: ${message}`,
        { cause: error },
      );
      if (code !== "closed" || tries === TRIES || signal.aborted) throw before;
    }
  }
}
