/**
 * Typed calls between the two ends of a session, and streams to named channels
 * (docs/tunnel-protocol.md, section 8).
 *
 * @module
 */
export {
  type ChannelEnd,
  ChannelListener,
  type ChannelOptions,
  ChannelServer,
  openChannel,
  type OpenStream,
  type ServedChannel,
  type Where,
} from "./channels.ts";
export type { BackingFile } from "./base_procedures.ts";
export type { CopyImage } from "./copy_procedures.ts";
export type { DomainImage, DomainImageFacts, ImageToPrepare } from "./domain_procedures.ts";
export type { Introduction } from "./introduce_procedures.ts";
export {
  type DeviceDescription,
  DEVICES_PER_PAGE,
  type Inventory,
  type MachineDescription,
} from "./inventory.ts";
export type {
  LaunchCopy,
  LaunchFile,
  LaunchFileFacts,
  LaunchImage,
  LaunchStart,
} from "./launch_procedures.ts";
export { type CallOptions, type Handlers, RpcError, type RpcOptions, RpcPeer } from "./peer.ts";
export { destinationState } from "./procedures.ts";
export type {
  BlockSample,
  DestinationState,
  DiskDescription,
  GuestDescription,
  Params,
  ProcedureName,
  Result,
  StorageNode,
} from "./procedures.ts";
export * as schema from "./schema.ts";
