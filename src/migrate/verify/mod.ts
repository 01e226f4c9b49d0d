/**
 * `--verify`: proof that the destination's disks hold what the source's hold.
 *
 * @module
 */
export { stopIdleServer, verifyProblems } from "./own_exports.ts";
export { Verification, type VerifyContext } from "./verification.ts";
export { WatchedDevice, type WriteWatch } from "./watched_device.ts";
export { NO_VERIFY_THERE } from "./reasons.ts";
