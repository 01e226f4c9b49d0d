/**
 * The command line that the source sends, parsed again at this end: what it would have QEMU do counts,
 * not what the source says about it.
 *
 * @module
 */
import {
  CommandLineError,
  type CommandPath,
  parseCommand,
  pathsOf,
  programsIn,
  type QemuCommand,
} from "../../command/mod.ts";
import type { LaunchStart } from "../../../rpc/mod.ts";
import { binaryRefusal, environmentRefusals, placeRefusal, type Places } from "./allow.ts";
import type { LaunchTrust } from "../options.ts";
import type { Access } from "../../../host/mod.ts";

/** Options that would take QEMU out of this end's sight, or have it run a guest at once. */
const NEVER = ["daemonize", "chroot", "loadvm"] as const;

/** A command line that can be started. */
export interface StartCommand {
  readonly command: QemuCommand;
  /** Its paths, absolute but for bare names that QEMU finds in its own directories. */
  readonly paths: readonly CommandPath[];
}

/**
 * Parses the command line.
 *
 * @returns the command, or why it cannot be started, a sentence each.
 */
export function readStart(
  { argv, cwd, qmp }: LaunchStart,
): StartCommand | { readonly problems: readonly string[] } {
  let command: QemuCommand;
  let found: readonly CommandPath[];
  try {
    command = parseCommand(argv);
    found = pathsOf(command);
  } catch (error) {
    if (!(error instanceof CommandLineError)) throw error;
    return { problems: [error.message] };
  }
  const paths = found.map((each) =>
    isSearched(each) ? each : {
      ...each,
      path: absolute(each.path, cwd),
    }
  );
  const problems = command.options
    .filter(({ name }) => (NEVER as readonly string[]).includes(name))
    .map(({ name }) => `The command line has -${name}, with which vmferry starts no QEMU`);
  const incoming = command.options.filter(({ name }) => name === "incoming");
  if (incoming.length !== 1 || incoming[0]!.value !== "defer") {
    problems.push(`The command line must have "-incoming defer" once, for the migration`);
  }
  if (!paths.some(({ kind, path }) => kind === "socket" && path === qmp)) {
    problems.push(`The command line has no QMP socket at ${qmp}`);
  }
  return problems.length > 0 ? { problems } : { command, paths };
}

/** QEMU finds a bare name in its own directories. */
function isSearched({ searched, path }: CommandPath): boolean {
  return searched && !path.includes("/");
}

function absolute(path: string, cwd: string): string {
  return path.startsWith("/") ? path : `${cwd}/${path}`;
}

/**
 * Why the source may not have it started, a sentence each.
 *
 * @param places has all paths of the command.
 */
export function startRefusals(
  trust: LaunchTrust,
  { command, paths }: StartCommand,
  { environment }: LaunchStart,
  places: Places,
): string[] {
  const refusals = environmentRefusals(trust, environment);
  if (trust !== "network") return refusals;
  const binary = binaryRefusal(trust, command.binary.slice(command.binary.lastIndexOf("/") + 1));
  if (binary !== undefined) refusals.push(binary);
  if (command.options.some(({ name }) => name === "set")) {
    refusals.push(
      "A source from the network may not use -set: the option that it changes would not be the " +
        "one that was checked. Start receive with --launch-any to allow it",
    );
  }
  for (const { option, what } of programsIn(command)) {
    refusals.push(
      `A source from the network may not use "${option}": QEMU ${what}. Start receive with ` +
        "--launch-any to allow it",
    );
  }
  for (const at of paths) {
    if (isSearched(at)) continue;
    const refusal = at.connects || at.retries
      ? `A source from the network may not have QEMU connect to the socket ${at.path}. Start ` +
        "receive with --launch-any to allow it"
      : placeRefusal(trust, at.path, accessOf(at), places);
    if (refusal !== undefined) refusals.push(refusal);
  }
  return [...new Set(refusals)];
}

function accessOf({ kind, writable, option }: CommandPath): Access {
  if (kind === "socket" || option === "pidfile") return "socket";
  return writable || kind === "directory" || kind === "device" || kind === "program"
    ? "write"
    : "read";
}
