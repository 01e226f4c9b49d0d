/**
 * What a shell can offer for each word of a command line, from the tables of commands and flags. Pure.
 *
 * @module
 */
import { ABOUT, type Operand } from "../../src/cli/help/about.ts";
import type { CommandName, Flag } from "../../src/cli/help/flag.ts";
import { TRANSPORTS } from "../../src/transport/mod.ts";

/** What a flag's value is to a shell. */
export type Value =
  | { readonly kind: "files" | "directories" | "commands" | "any" }
  | { readonly kind: "words"; readonly words: readonly string[] };

/** What `vmferry` takes in the place of a command. */
export const OTHER_FIRST: readonly (readonly [string, string])[] = [
  ["help", "print the help, or the help on a command"],
  ["--help", "print the help"],
  ["--version", "print the version"],
];

/** How the addresses begin that one can connect to. */
export const SCHEMES: readonly string[] = TRANSPORTS.map(({ scheme }) => `${scheme}://`);

/** How the addresses begin that one can listen on. */
const LISTENING: readonly string[] = TRANSPORTS.filter((transport) => "prepareListen" in transport)
  .map(({ scheme }) => `${scheme}://`);

/** The value of a flag; `undefined` for a switch. */
export function valueOf(flag: Flag): Value | undefined {
  const { value, values } = flag;
  if (value === undefined) return undefined;
  if (values) return { kind: "words", words: values };
  if (value.includes("|")) return { kind: "words", words: value.split("|") };
  if (value === "ADDRESS") return { kind: "words", words: LISTENING };
  if (value === "DIR") return { kind: "directories" };
  if (/^(?:PATH|FILE)\b/.test(value) && !value.includes("=")) return { kind: "files" };
  if (value === "COMMAND") return { kind: "commands" };
  return { kind: "any" };
}

/** What stands beside the flags of a command. */
export function operandOf(command: CommandName): Operand | undefined {
  return ABOUT[command].operand;
}

/** A description in a line: the first sentence of a flag's help. */
export function firstSentence(help: string): string {
  return help.split(/(?<=[.;])\s/)[0]!.replace(/[.;]$/, "");
}

/** Text between single quotes for a shell of the Bourne family. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
