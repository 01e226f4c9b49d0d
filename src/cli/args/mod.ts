/**
 * The command line as data. Pure: text in, a command or a `UsageError` out.
 *
 * @module
 */
import {
  type CancelCommand,
  parseCancel,
  parseSet,
  parseStatus,
  type SetCommand,
  type StatusCommand,
} from "./control.ts";
import {
  type CheckDomainCommand,
  type DomainCommand,
  parseCheckDomain,
  parseDomainCommand,
} from "./domain.ts";
import { type ForwardCommand, parseForward } from "./forward.ts";
import { readFlags } from "./given.ts";
import {
  type CopyCommand,
  parseCopy,
  parseReceiveCopy,
  type ReceiveCopyCommand,
} from "../copy/args.ts";
import { parseReceiveLaunch, type ReceiveLaunchCommand } from "./launch.ts";
import {
  type CheckCommand,
  type MigrateCommand,
  parseCheck,
  parseMigrate,
  parseReceive,
  parseRecover,
  type ReceiveCommand,
  type RecoverCommand,
} from "./migration.ts";
import { parseReceiveDomain, type ReceiveDomainCommand } from "./receive_domain.ts";
import { type CommandName, COMMANDS } from "../help/flag.ts";
import { closest } from "./suggest.ts";
import { UsageError } from "./usage_error.ts";

/** What was asked for. */
export type Command =
  | { readonly command: "help"; readonly topic: CommandName | undefined }
  | { readonly command: "version" }
  | ReceiveCommand
  | ReceiveDomainCommand
  | ReceiveLaunchCommand
  | MigrateCommand
  | DomainCommand
  | CheckDomainCommand
  | CopyCommand
  | ReceiveCopyCommand
  | ForwardCommand
  | CheckCommand
  | StatusCommand
  | CancelCommand
  | SetCommand
  | RecoverCommand;

/**
 * @throws {UsageError} naming what is wrong, with a hint.
 */
export function parseCommandLine(args: readonly string[]): Command {
  const [first, ...rest] = args;
  if (first === undefined) throw new UsageError("No command was given; see 'vmferry --help'");
  if (first === "--help" || first === "-h" || first === "help") return help(rest);
  if (first === "--version" || first === "-V") return { command: "version" };
  const command = COMMANDS.find((c) => c === first);
  if (!command) {
    const near = closest(first, COMMANDS);
    const hint = near ? `did you mean "${near}"? See` : "see";
    throw new UsageError(`"${first}" is no command; ${hint} 'vmferry --help'`);
  }
  const given = readFlags(command, rest);
  if (given === "help") return { command: "help", topic: command };
  switch (command) {
    case "receive":
      if (given.has("copy")) return parseReceiveCopy(given);
      if (given.has("launch")) return parseReceiveLaunch(given);
      return given.has("libvirt") ? parseReceiveDomain(given) : parseReceive(given);
    case "migrate":
      return parseMigrate(given);
    case "copy":
      return parseCopy(given);
    case "forward":
      return parseForward(given);
    case "domain":
      return parseDomainCommand(given);
    case "check":
      return given.positional[0] === "domain" ? parseCheckDomain(given) : parseCheck(given);
    case "status":
      return parseStatus(given);
    case "cancel":
      return parseCancel(given);
    case "set":
      return parseSet(given);
    case "recover":
      return parseRecover(given);
  }
}

function help(rest: readonly string[]): Command {
  const topic = COMMANDS.find((c) => c === rest[0]);
  if (rest.length > 1 || (rest.length === 1 && !topic)) {
    throw new UsageError(`There is no help on "${rest.join(" ")}"; see 'vmferry --help'`);
  }
  return { command: "help", topic };
}
