import { NbdProbeError, probeExport } from "../../nbd/mod.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import { MigrationError } from "../errors.ts";
import type { Mirror } from "./mirror_set.ts";

/** Probes under way at a time. */
const PROBES = 8;
/** How long a probe may take, ms, beside the time that the connection may be away. */
const PROBE_MS = 30_000;

/**
 * Times that an export is looked at whose server hangs up: QEMU gives a negotiation 10 s, during which
 * a tool may have been stopped or a link away.
 */
const TRIES = 3;

/**
 * Looks at every export through the tunnel, so that a wrong one is a message and no failed job.
 *
 * @throws {MigrationError} naming the disk whose export is not as it should be.
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
