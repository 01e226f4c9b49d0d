/**
 * Where a command connects to or listens. Pure.
 *
 * @module
 */
import { type Address, parseAddress, parseDestination } from "../endpoint/address.ts";
import type { TicketSource } from "../endpoint/ticket_file.ts";
import type { Given } from "./given.ts";

/** Where a connecting end connects to, or where that is written. */
export type Destination = Address | TicketSource;

/** Reads `DESTINATION` and `--ticket-file`; `undefined` where neither was given. */
export function destinationOf(given: Given): Destination | undefined {
  const [first, second] = given.positional;
  if (second !== undefined) given.fail(`"${second}" is one argument too many`);
  const file = given.one("ticket-file");
  if (first === "-") {
    if (file !== undefined) given.fail("--ticket-file and - exclude each other");
    return { transport: "ticket-file", file: "-", at: undefined };
  }
  const address = first === undefined ? undefined : parseDestination(first, "DESTINATION");
  const isTicket = address?.transport === "ticket";
  if (file === undefined || given.has("listen") || given.has("stdio")) {
    if (isTicket && !address.ticket) {
      given.fail("DESTINATION lacks its ticket: vmferry://HOST:PORT/TICKET, or --ticket-file FILE");
    }
    return address;
  }
  if (address && !isTicket) given.fail(`--ticket-file does not go with ${address.transport}://`);
  if (address?.ticket) given.fail("--ticket-file and a ticket in DESTINATION exclude each other");
  const at = address && { host: address.host, port: address.port };
  return { transport: "ticket-file", file, at };
}

/** Reads `--listen` or `--stdio`, one of which there must be. */
export function listenOf(given: Given): Address | "stdio" {
  const listen = given.one("listen");
  if (given.has("stdio")) {
    if (listen !== undefined) given.fail("--listen and --stdio exclude each other");
    if (given.has("json")) given.fail("--json and --stdio both want standard output");
    return "stdio";
  }
  if (listen === undefined) given.fail(`${given.command} needs --listen ADDRESS or --stdio`);
  return parseAddress(listen, "--listen");
}

/** Fails when a file is to hold a ticket where none is made, or none holds one that a log must not. */
export function noIdleTicketFile(given: Given, listen: Address | "stdio"): void {
  const makesTicket = listen !== "stdio" && listen.transport === "ticket";
  const isLog = given.has("log-format") && given.one("log-format") !== "text";
  if (makesTicket && isLog && !given.has("ticket-file") && !given.has("json")) {
    given.fail("--log-format needs --ticket-file FILE here: a ticket must not be in a log");
  }
  if (makesTicket || !given.has("ticket-file")) return;
  const orTcp = given.command === "receive"
    ? ", or tcp:// without --secret-file and --insecure"
    : "";
  given.fail(`--ticket-file needs a ticket, which is made with --listen vmferry://${orTcp}`);
}

/** Where nothing else is asked for, a source proves itself by a ticket, over TLS. */
export function ticketUnlessOther(given: Given, listen: Address | "stdio"): Address | "stdio" {
  const plain = given.has("secret-file") || given.has("insecure");
  if (listen === "stdio" || listen.transport !== "tcp" || plain) return listen;
  return { ...listen, transport: "ticket", ticket: undefined };
}
