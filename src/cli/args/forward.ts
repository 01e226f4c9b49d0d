/**
 * The command `forward`. Pure.
 *
 * @module
 */
import { type Address, parseSocketPath } from "../endpoint/address.ts";
import { UsageError } from "./usage_error.ts";
import { common, type CommonOptions } from "./common.ts";
import { type Destination, destinationOf, listenOf, noIdleTicketFile } from "./ends.ts";
import { type Given, unique } from "./given.ts";
import { tunnel, type TunnelOptions } from "./tunnel.ts";

/** A name and the socket it stands for, of `--to` and `--from`. */
export interface NamedSocket {
  readonly name: string;
  readonly path: string;
}

/** `vmferry forward`: the end that listens or the one that connects. */
export interface ForwardCommand extends CommonOptions, TunnelOptions {
  readonly command: "forward";
  readonly mode:
    | { readonly listen: Address | "stdio"; readonly to: readonly NamedSocket[] }
    | { readonly destination: Destination; readonly from: readonly NamedSocket[] };
  readonly once: boolean;
}

/** Reads the options of `forward`. */
export function parseForward(given: Given): ForwardCommand {
  const to = namedSockets(given, "to");
  const from = namedSockets(given, "from");
  const listens = given.has("listen") || given.has("stdio");
  if (to.length > 0 && from.length > 0) {
    given.fail("--to belongs to the end that listens, --from to the one that connects");
  }
  const destination = destinationOf(given);
  if (listens && destination) given.fail("An end listens or connects: --listen or DESTINATION");
  const rest = { once: given.has("once"), ...common(given), ...tunnel(given) };
  if (listens) {
    if (to.length === 0) given.fail("--listen needs at least one --to NAME=unix:///PATH");
    const listen = listenOf(given);
    noIdleTicketFile(given, listen);
    return { command: "forward", mode: { listen, to }, ...rest };
  }
  if (!destination) given.failWithoutDestination("forward needs --listen ADDRESS or a DESTINATION");
  if (from.length === 0) given.fail("DESTINATION needs at least one --from NAME=unix:///PATH");
  return { command: "forward", mode: { destination, from }, ...rest };
}

function namedSockets(given: Given, flag: "to" | "from"): NamedSocket[] {
  const sockets = given.many(flag).map((text) => {
    const match = /^([A-Za-z0-9._-]{1,64})=unix:\/\/(.*)$/.exec(text);
    if (!match) {
      throw new UsageError(
        `--${flag}: got "${text}", expected NAME=unix:///PATH with a NAME of 1 to 64 letters, ` +
          "digits, '.', '_' or '-'",
      );
    }
    return { name: match[1]!, path: parseSocketPath(match[2]!, `--${flag}`) };
  });
  return unique(given, sockets, (s) => s.name);
}
