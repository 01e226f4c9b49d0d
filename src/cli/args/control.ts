/**
 * The commands that speak to a migration that is running: `status`, `cancel` and `set`. Pure.
 *
 * @module
 */
import type { SetChange } from "../control/protocol.ts";
import { parseLimitChange } from "./limits.ts";
import { common } from "./common.ts";
import { isLoopback } from "../../transport/mod.ts";
import { UsageError } from "./usage_error.ts";
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
  /** Shows it to browsers here, until a signal. */
  readonly serve?: ServeAddress;
}

/** Where `status --serve` listens. */
export interface ServeAddress {
  /** An IPv6 address without brackets. */
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
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
  const serve = serveAddress(given);
  if (serve && given.has("watch")) given.fail("--serve and --watch exclude each other");
  const rest = { watch: given.has("watch"), ...choice(given) };
  return { command: "status", ...rest, ...(serve ? { serve } : {}) };
}

function serveAddress(given: Given): ServeAddress | undefined {
  const serve = given.read("serve", hostPortOf, "HOST:PORT, as 127.0.0.1:8080 or [::1]:8080");
  const isInsecure = given.has("insecure");
  if (!serve) {
    if (isInsecure) given.fail("--insecure is for --serve");
    return undefined;
  }
  if (isLoopback(serve.host) || isInsecure) return serve;
  throw new UsageError(
    `--serve: other hosts can reach ${
      given.one("serve")
    }, and nothing is encrypted. Use 127.0.0.1 ` +
      "and 'ssh -L' from another host, or give --insecure if the network is yours alone",
  );
}

function hostPortOf(text: string): ServeAddress | undefined {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  return parts && port <= 65535 ? { host: parts[1] ?? parts[2]!, port } : undefined;
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
