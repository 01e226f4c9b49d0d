/**
 * NBD, where we speak it ourselves.
 *
 * @module
 */
export { NbdError, type NbdErrorCode, NbdProbeError } from "./errors.ts";
export type { NbdExportInfo } from "./handshake.ts";
export { LastRequests } from "./last_requests.ts";
export { probeExport, type ProbeOptions } from "./probe.ts";
