/**
 * The parts of NBD that vmferry speaks itself: a client that probes and reads exports, and the last
 * replies of a server. Source: the NBD project's doc/proto.md.
 *
 * @module
 */
export { NbdError, type NbdErrorCode, NbdProbeError } from "./errors.ts";
export { type LastReplies, LastRequests } from "./last_requests.ts";
export { type Extent, NbdReader } from "./reader.ts";
export type { NbdExportInfo } from "./options.ts";
export { probeExport, type ProbeOptions } from "./probe.ts";
