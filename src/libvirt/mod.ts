/**
 * The programs and formats of libvirt that a migration needs. Pure but for the programs, which are
 * injected.
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
