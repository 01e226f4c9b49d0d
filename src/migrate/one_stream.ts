/**
 * Migration settings of QEMU's with which a guest's memory is not one stream of all of it, as somebody may
 * have left them: off for a migration of ours, put back afterwards.
 *
 * @module
 */

/** Capabilities; those that a QEMU does not have are left out. */
export const ONE_STREAM: Readonly<Record<string, boolean>> = {
  // More than one connection, or another format.
  "multifd": false,
  "postcopy-preempt": false,
  "mapped-ram": false,
  "zero-copy-send": false,
  "compress": false,
  // Less than all of the memory, or disks in it as well.
  "x-ignore-shared": false,
  "block": false,
  // Something else than a guest that moves.
  "background-snapshot": false,
  "x-colo": false,
};

/** Parameters: no TLS of QEMU's own inside the tunnel, and no guest that is left in its memory. */
export const PLAIN: Readonly<Record<string, string>> = { "tls-creds": "", "mode": "normal" };
