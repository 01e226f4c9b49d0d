/**
 * The commands that speak to a migration that is running: `status`, `cancel` and `set`. Pure.
 *
 * @module
 */
import type { SetChange } from "../control/protocol.ts";
import { parseLimitChange } from "./limits.ts";
import { common } from "./common.ts";
import { type Given, noPositional, noRest, seconds } from "./given.ts";

/** What commands have that speak to a migration that is running. */
export interface ChoiceOptions {
  /** Its QMP socket. */
  readonly qmp: string | undefined;
  /** Its guest's name or UUID. */
  readonly name: string | undefined;
  readonly runDir: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** `vmferry status`. */
export interface StatusCommand extends ChoiceOptions {
  readonly command: "status";
  /** Again and again, until a signal. */
  readonly watch: boolean;
}

/** `vmferry cancel`. */
export interface CancelCommand extends ChoiceOptions {
  readonly command: "cancel";
  readonly timeoutMs: number;
}

/** `vmferry set`. */
export interface SetCommand extends ChoiceOptions {
  readonly command: "set";
  readonly change: SetChange;
}

/** Reads the options of `status`. */
export function parseStatus(given: Given): StatusCommand {
  noPositional(given);
  return { command: "status", watch: given.has("watch"), ...choice(given) };
}

/** Reads the options of `cancel`. */
export function parseCancel(given: Given): CancelCommand {
  noPositional(given);
  return { command: "cancel", timeoutMs: seconds(given, "timeout", 120_000), ...choice(given) };
}

/** Reads the options of `set`, and the limits that are its arguments. */
export function parseSet(given: Given): SetCommand {
  return { command: "set", change: parseLimitChange(given.positional), ...choice(given) };
}

function choice(given: Given): ChoiceOptions {
  noRest(given);
  const { json, quiet, verbose } = common(given);
  return {
    qmp: given.one("qmp"),
    name: given.one("name"),
    runDir: given.one("run-dir"),
    ...{ json, quiet, verbose },
  };
}
