/**
 * Migration settings of QEMU that an earlier user may have left, and that would break this migration or
 * change its result. vmferry sends the guest's RAM as one pre-copy stream, and nothing else in it. Both
 * sides set these values during the migration and restore the earlier ones. docs/qemu.md has the whole
 * list, with the settings that stay as they are.
 *
 * @module
 */

/** Migration capabilities; a QEMU without one of them keeps it out. */
export const ONE_STREAM: Readonly<Record<string, boolean>> = {
  // More than one connection, or another format.
  "multifd": false,
  "postcopy-preempt": false,
  "mapped-ram": false,
  "zero-copy-send": false,
  "compress": false,
  // Less than all RAM, or disks and bitmaps too: a destination's QEMU with other node names ends at the
  // first bitmap.
  "x-ignore-shared": false,
  "block": false,
  "dirty-bitmaps": false,
  // The source announces post-copy, and a destination without the capability ends. release-ram frees RAM
  // that was sent, so the guest could not resume at the source.
  "postcopy-ram": false,
  "postcopy-blocktime": false,
  "release-ram": false,
  // The source waits for a message that only a destination with this capability sends, and never ends.
  "switchover-ack": false,
  // Not a migration of a running guest.
  "background-snapshot": false,
  "x-colo": false,
};

/** Migration parameters, as {@link ONE_STREAM}. */
export const PLAIN: Readonly<Record<string, number | string>> = {
  // No TLS by QEMU inside the tunnel.
  "tls-creds": "",
  // No cpr mode, in which the guest's RAM stays on its host.
  "mode": "normal",
  // Overrides QEMU's measured bandwidth: with a low value the migration never ends, with a high one too early.
  "avail-switchover-bandwidth": 0,
};
