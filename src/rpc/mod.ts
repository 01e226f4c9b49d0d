/**
 * Typed calls between the two ends of a session, and streams with a name.
 *
 * @module
 */
export {
  type ChannelEnd,
  ChannelListener,
  ChannelServer,
  openChannel,
  type OpenStream,
} from "./channels.ts";
export {
  type DeviceDescription,
  DEVICES_PER_PAGE,
  type Inventory,
  type MachineDescription,
} from "./inventory.ts";
export { type Handlers, RpcError, RpcPeer } from "./peer.ts";
export { destinationState } from "./procedures.ts";
export type {
  BlockSample,
  DiskDescription,
  GuestDescription,
  Params,
  ProcedureName,
  Result,
  StorageNode,
} from "./procedures.ts";
export * as schema from "./schema.ts";
