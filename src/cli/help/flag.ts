/**
 * What a flag of the command line is, and which commands there are.
 *
 * @module
 */

/** The commands that take flags. */
export const COMMANDS = [
  ...["receive", "migrate", "domain", "copy", "forward", "check"] as const,
  ...["status", "cancel", "set", "recover"] as const,
] as const;
/** One of them. */
export type CommandName = (typeof COMMANDS)[number];

/** A flag. */
export interface Flag {
  readonly name: string;
  /** What its value is called in the help; none for a switch. */
  readonly value?: string;
  /** The values that it takes, where that is a closed list and `value` does not show it, as `on|off` does. */
  readonly values?: readonly string[];
  /** May be given more than once. */
  readonly many?: boolean;
  readonly commands: readonly CommandName[];
  readonly help: string;
}
