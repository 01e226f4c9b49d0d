/**
 * Two hosts in namespaces, ssh from one to the other, and a guest that counts on its disks.
 *
 * @module
 */
export * from "./guest.ts";
export * from "./host_state.ts";
export * from "./installed_units.ts";
export { DESTINATION, LaunchLab } from "./lab.ts";
export * from "./run.ts";
export { frontQemu, restoreQemu, serveInstead } from "./slow_qemu.ts";
export * from "./steps.ts";
export { SystemdHost } from "./systemd_host.ts";
export { addUser, allowUser, HOME, removeUser, USER } from "./user.ts";
export { launchByTicket, TICKET_DIR } from "./ticket.ts";
export { LaunchTrial } from "./trial.ts";
export { assertEnded, assertQemus, assertUnit, BOOT, TRANSIENT, UNIT } from "./units.ts";
