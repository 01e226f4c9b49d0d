/**
 * Migration settings of QEMU's that somebody may have left and that would break a migration of ours or
 * change its result: the guest's RAM crosses as one pre-copy stream of all of it, and nothing else does.
 * Both ends set these values for the crossing and put back what was there before. docs/qemu.md has the
 * whole list, with those that are left alone.
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
  // Less than all of the RAM, or disks and bitmaps in it as well: a destination's QEMU whose nodes have
  // other names ends at the first bitmap.
  "x-ignore-shared": false,
  "block": false,
  "dirty-bitmaps": false,
  // The source announces post-copy, and a destination without the capability ends. RAM that was sent is
  // given back to the host, so that a guest could not be resumed here.
  "postcopy-ram": false,
  "postcopy-blocktime": false,
  "release-ram": false,
  // The source waits for a word that only a destination with this capability sends: RAM goes round for ever.
  "switchover-ack": false,
  // Something else than a guest that moves.
  "background-snapshot": false,
  "x-colo": false,
};

/** Parameters, as {@link ONE_STREAM}. */
export const PLAIN: Readonly<Record<string, number | string>> = {
  // No TLS of QEMU's own inside the tunnel.
  "tls-creds": "",
  // No guest that is left in its memory.
  "mode": "normal",
  // QEMU compares what is left with this instead of what it measures: 1 never ends, a large one ends too early.
  "avail-switchover-bandwidth": 0,
};
