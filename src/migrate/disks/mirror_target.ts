import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";

/** One disk on its way: the job that copies it and the node it is copied to. */
export interface Mirror {
  /** The disk's name, as the user knows it. */
  readonly name: string;
  /** Node that is copied. */
  readonly device: string;
  readonly sizeBytes: number;
  readonly exportName: string;
  readonly jobId: string;
  readonly targetNode: string;
  /**
   * Zeroes are not to be written as holes there: they would take the space from an image that was
   * allocated on purpose, or allocate that of a thin one.
   */
  readonly noHoles: boolean | null;
}

/**
 * The node that a disk is copied to, for `blockdev-add`: an NBD client on a socket of ours. Where there
 * are to be no holes it is under a `raw` node: QEMU 7.2 passes what its mirror says of holes to the node
 * that it writes to, whatever that one's `discard`, and drops it only on the way to the next.
 */
export function targetOptions(mirror: Mirror, socketPath: string) {
  const client = {
    driver: "nbd",
    "node-name": clientNode(mirror),
    server: { type: "unix", path: socketPath },
    export: mirror.exportName,
    // Never a request that waits for a server that went: QEMU waits for all of them wherever it drains
    // its disks, at the end of a migration for one, and the guest with it. The job is what waits.
    "reconnect-delay": 0,
    // Zeroes stay holes at the destination; both options are needed for that.
    "detect-zeroes": mirror.noHoles ? "off" : "unmap",
    discard: mirror.noHoles ? "ignore" : "unmap",
  } as const;
  if (!mirror.noHoles) return client;
  return {
    driver: "raw",
    "node-name": mirror.targetNode,
    discard: "ignore",
    file: client,
  } as const;
}

export interface ConnectTargetOptions {
  /** The connection to the destination carries nothing, and may come back. */
  readonly away: () => boolean;
  /** Resolves after a moment. */
  readonly pause: () => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Adds a target node, for which QEMU connects. Where that was cut off because nothing passes, it is tried
 * again once something does: QEMU, and the guest with it, waits for the server's first words.
 *
 * @throws {QmpCommandError} when QEMU can't connect although the connection is there.
 */
export async function connectTarget(
  qmp: QmpClient,
  target: ReturnType<typeof targetOptions>,
  { away, pause, signal }: ConnectTargetOptions,
): Promise<void> {
  while (true) {
    try {
      await qmp.execute("blockdev-add", target, { signal });
      return;
    } catch (error) {
      if (!(error instanceof QmpCommandError) || !away()) throw error;
    }
    while (away()) {
      await pause();
      signal.throwIfAborted();
    }
  }
}

/** The node that has the connection, for `yank`. */
export function clientNode({ targetNode, noHoles }: Mirror): string {
  // A node's name has at most 31 characters.
  return noHoles ? `${targetNode.replace(/-target$/, "")}-nbd` : targetNode;
}
