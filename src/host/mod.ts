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
export { command, CommandError, directoryOf, lookAt, nameOf, type PathFacts } from "./paths.ts";
export {
  type ImageInfo,
  imageInfoArguments,
  ImageInfoError,
  parseImageInfo,
} from "./image_info.ts";
