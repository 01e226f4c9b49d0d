/**
 * NBD: block devices with a client and a server, a probe of an export, and the last replies of a server.
 * Source: the NBD project's doc/proto.md.
 *
 * @module
 */
export type {
  Abilities,
  BlockDevice,
  BlockExtent,
  BlockSize,
  ByteRange,
  StatusOptions,
  WriteOptions,
  ZeroOptions,
} from "./device.ts";
export {
  NbdDeviceError,
  type NbdErrno,
  NbdError,
  type NbdErrorCode,
  NbdProbeError,
} from "./errors.ts";
export { type ClientOptions, NbdClient } from "./client/client.ts";
export type { NbdExportInfo } from "./client/options.ts";
export { probeExport, type ProbeOptions } from "./client/probe.ts";
export { type BlockSource, type Extent, type ExtentKind, NbdReader } from "./client/reader.ts";
export { type LastReplies, LastRequests } from "./server/last_requests.ts";
export type { ExportSource, NbdExport } from "./server/exports.ts";
export { NbdServer, type ServerOptions } from "./server/server.ts";
export { WrappedDevice } from "./wrapped_device.ts";
