/**
 * Copies the images of a guest that is shut off: qemu-nbd serves them at both hosts, and vmferry copies at the
 * source.
 *
 * @module
 */
export {
  type ArrivedImage,
  CopyDestination,
  type CopyDestinationOptions,
} from "./destination/copy.ts";
export type { CopyTrust } from "./destination/look.ts";
export { copyDevice, CopyDeviceError, type CopyDeviceOptions } from "./engine/copy_device.ts";
export type { CopyHost, TiedProgram } from "./host.ts";
export { type CopiedImage, CopySource, type CopySourceOptions } from "./source/copy.ts";
