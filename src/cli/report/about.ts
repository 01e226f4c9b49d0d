/**
 * The command that runs, as a report shows it. Pure.
 *
 * @module
 */
import { readFlags } from "../args/given.ts";
import { withoutTicket } from "../endpoint/address.ts";
import { COMMANDS } from "../help/flag.ts";
import { flagsOf } from "../help/flags.ts";
import type { RunAbout, Setting } from "./data.ts";

/** What is shown in place of a command, which may hold a password. */
const GIVEN = "(given)";

/**
 * Describes a command line: its flags and arguments without tickets, and without the text of commands, which may
 * hold secrets.
 *
 * @param args a command line that can be parsed.
 * @param host name of this host.
 */
export function aboutRun(args: readonly string[], host: string | null): RunAbout | undefined {
  const [first, ...rest] = args;
  const command = COMMANDS.find((each) => each === first);
  const given = command && readFlags(command, rest);
  if (!command || !given || given === "help") return undefined;
  const flags = flagsOf(command).filter(({ name }) => given.has(name));
  const settings: Setting[] = [
    ...given.positional.map((value) => ({ name: "argument", value: withoutTicket(value) })),
    ...flags.flatMap(({ name, value }): Setting[] => {
      if (value === undefined) return [{ name: `--${name}`, value: "" }];
      const shown = value === "COMMAND" ? () => GIVEN : withoutTicket;
      return given.many(name).map((text) => ({ name: `--${name}`, value: shown(text) }));
    }),
  ];
  if (given.rest.length > 0) {
    // Those of a domain are options of libvirt; others are words for a command line on another host.
    const value = command === "domain" ? given.rest.join(" ") : GIVEN;
    settings.push({ name: "--", value });
  }
  const side = command === "receive" ? "destination" : "source";
  return { command, side, host, settings };
}
