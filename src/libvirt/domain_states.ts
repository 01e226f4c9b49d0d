/**
 * The numbers of libvirt's states and reasons (include/libvirt/libvirt-domain.h, libvirt 11).
 *
 * @module
 */

/** virDomainState; the other numbers are `other`. A blocked domain waits for something, and runs. */
export const DOMAIN_STATES: Readonly<Record<number, "running" | "paused" | "shut-off">> = {
  1: "running",
  2: "running",
  3: "paused",
  5: "shut-off",
};

/** virDomain…Reason of each state, in the words of `virsh domstate --reason`. */
export const DOMAIN_REASONS: Readonly<Record<number, readonly string[]>> = {
  1: [
    "unknown",
    "booted",
    "migrated",
    "restored",
    "from snapshot",
    "unpaused",
    "migration canceled",
    "save canceled",
    "event wakeup",
    "crashed",
    "post-copy",
    "post-copy failed",
  ],
  3: [
    "unknown",
    "user",
    "migrating",
    "saving",
    "dumping",
    "I/O error",
    "watchdog",
    "from snapshot",
    "shutting down",
    "creating snapshot",
    "crashed",
    "starting up",
    "post-copy",
    "post-copy failed",
    "api error",
  ],
  4: ["unknown", "user"],
  5: [
    "unknown",
    "shutdown",
    "destroyed",
    "crashed",
    "migrated",
    "saved",
    "failed",
    "from snapshot",
    "daemon",
  ],
  6: ["unknown", "panicked"],
};
