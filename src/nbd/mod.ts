/**
 * NBD, where we speak it ourselves.
 *
 * @module
 */
export { NbdError, type NbdErrorCode, NbdProbeError } from "./errors.ts";
export { LastRequests } from "./last_requests.ts";
export { type Extent, NbdReader } from "./reader.ts";
export type { NbdExportInfo } from "./options.ts";
export { probeExport, type ProbeOptions } from "./probe.ts";
