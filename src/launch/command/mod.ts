/**
 * Command lines of QEMU: parsed, written, and translated for another host. Pure.
 *
 * @module
 */
export { CommandLineError, type QemuCommand, type QemuOption } from "./command.ts";
export { parseCommand, writeCommand } from "./parse.ts";
export {
  fieldOf,
  fieldsOf,
  isOn,
  type OptionField,
  type OptionValue,
  parseOption,
  withFields,
  writeOption,
} from "./option_value.ts";
export type { CommandPath, PathKind } from "./path.ts";
export { pathsOf, withPaths } from "./paths.ts";
export { expandConfig } from "./config.ts";
export { labelOf } from "./label.ts";
export { changesUser } from "./destination/machine.ts";
export { isManagedByLibvirt } from "./destination/managers.ts";
export { type Changes, forDestination, type Translation } from "./destination/translate.ts";
export { type MissingOption, optionsMissingIn } from "./versions.ts";
export { type CommandProgram, programsIn } from "./programs.ts";
