/**
 * Programs and files of a host, by its own commands. Pure but for the programs, which are injected.
 *
 * @module
 */
export {
  ProgramError,
  type ProgramOptions,
  type ProgramResult,
  type RunningProgram,
  type RunProgram,
  type StartProgram,
} from "./program.ts";
export { createImageFile, NothingMade, octal, runMaker } from "./create_image.ts";
export { fileUsers } from "./file_users.ts";
export { imageCommand, type NewImage } from "./image_command.ts";
export { type Access, isAllowedPlace, isPlainPath } from "./places.ts";
export { command, CommandError, directoryOf, lookAt, nameOf, type PathFacts } from "./paths.ts";
export {
  type ImageInfo,
  imageInfoArguments,
  ImageInfoError,
  parseImageInfo,
} from "./image_info.ts";
