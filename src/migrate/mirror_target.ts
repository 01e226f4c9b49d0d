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
}

/** The node that a disk is copied to, for `blockdev-add`: an NBD client on a socket of ours. */
export function targetOptions(mirror: Mirror, socketPath: string) {
  return {
    driver: "nbd",
    "node-name": mirror.targetNode,
    server: { type: "unix", path: socketPath },
    export: mirror.exportName,
    // Never a request that waits for a server that went: QEMU waits for all of them wherever it drains
    // its disks, at the end of a migration for one, and the guest with it. The job is what waits.
    "reconnect-delay": 0,
    // Zeroes stay holes at the destination; both options are needed for that.
    "detect-zeroes": "unmap",
    discard: "unmap",
  } as const;
}
