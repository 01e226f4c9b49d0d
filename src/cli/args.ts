/**
 * The command line as data. Pure: text in, a command or a `UsageError` out.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import type { LimitChange } from "../migrate/mod.ts";
import { type Address, parseAddress, parseSocketPath } from "./address.ts";
import { type CommandName, COMMANDS, flagsOf } from "./flags.ts";
import { BANDWIDTH, DOWNTIME, parseDowntime, parseLimitChange } from "./limits.ts";
import { parseDuration, parseSize } from "./size.ts";
import { closest } from "./suggest.ts";
import type { TicketSource } from "./ticket_file.ts";
import { UsageError } from "./usage_error.ts";

/** What every command has. */
export interface CommonOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly secretFile: string | undefined;
  readonly insecure: boolean;
}

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

/** How a vmferry over there is started. */
export interface SshFlags {
  /** As after ssh's `-o`. */
  readonly options: readonly string[];
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
}

/** What commands with a tunnel have. Times in ms, sizes in bytes. */
export interface TunnelOptions {
  readonly graceMs: number;
  readonly connectMs: number;
  readonly deadAfterMs: number;
  readonly inFlight: number | undefined;
  /** `USER[:GROUP]` that QEMU runs as, where it is another one. */
  readonly socketOwner: string | undefined;
  /** Where a listening end leaves its ticket. */
  readonly ticketFile: string | undefined;
  /** With `tls://`: where the certificates are. */
  readonly tlsDir: string | undefined;
  /** The names of which a client's certificate must have one; none = every client's is good. */
  readonly allowClients: readonly string[];
  /** With `ssh://`. */
  readonly ssh: SshFlags | undefined;
}

/** Where a connecting end connects to, or where that is written. */
export type Destination = Address | TicketSource;

/** A name and the socket it stands for, of `--to` and `--from`. */
export interface NamedSocket {
  readonly name: string;
  readonly path: string;
}

export type Command =
  | { readonly command: "help"; readonly topic: CommandName | undefined }
  | { readonly command: "version" }
  | (
    & {
      readonly command: "receive";
      readonly qmp: string;
      readonly listen: Address | "stdio";
      readonly disks: readonly { readonly name: string; readonly local: string }[];
      readonly timeoutMs: number;
      readonly resume: boolean;
      readonly runDir: string | undefined;
    }
    & CommonOptions
    & TunnelOptions
  )
  | (
    & {
      readonly command: "migrate";
      readonly qmp: string;
      readonly destination: Destination;
      readonly disks: readonly string[];
      readonly bandwidth: number | null;
      readonly maxDowntimeMs: number;
      readonly timeoutMs: number;
      readonly timeoutAction: "abort" | "suspend";
      readonly quitSource: boolean;
      readonly resume: boolean;
      readonly runDir: string | undefined;
    }
    & CommonOptions
    & TunnelOptions
  )
  | (
    & {
      readonly command: "forward";
      readonly mode:
        | { readonly listen: Address | "stdio"; readonly to: readonly NamedSocket[] }
        | { readonly destination: Destination; readonly from: readonly NamedSocket[] };
      readonly once: boolean;
    }
    & CommonOptions
    & TunnelOptions
  )
  | (
    & {
      readonly command: "check";
      readonly qmp: string;
      readonly destination: Destination | undefined;
      readonly disks: readonly string[];
    }
    & CommonOptions
    & TunnelOptions
  )
  | ({ readonly command: "status" } & ChoiceOptions)
  | ({ readonly command: "cancel"; readonly timeoutMs: number } & ChoiceOptions)
  | ({ readonly command: "set"; readonly change: LimitChange } & ChoiceOptions)
  | (
    & {
      readonly command: "recover";
      readonly qmp: string;
      readonly destination: Destination | undefined;
      readonly yes: boolean;
      /** The user's word that the guest does not run at the other end. */
      readonly force: boolean;
      readonly runDir: string | undefined;
    }
    & CommonOptions
    & TunnelOptions
  );

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
      return parseReceive(given);
    case "migrate":
      return parseMigrate(given);
    case "forward":
      return parseForward(given);
    case "check":
      return parseCheck(given);
    case "status":
      noPositional(given);
      return { command: "status", ...choice(given) };
    case "cancel":
      noPositional(given);
      return { command: "cancel", timeoutMs: seconds(given, "timeout", 120_000), ...choice(given) };
    case "set":
      return { command: "set", change: parseLimitChange(given.positional), ...choice(given) };
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

/** What was given, checked for being known, complete and not doubled, but not yet for its sense. */
class Given {
  readonly command: CommandName;
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly positional: readonly string[];
  /** What comes after `--`. */
  readonly rest: readonly string[];

  constructor(
    command: CommandName,
    values: ReadonlyMap<string, readonly string[]>,
    positional: readonly string[],
    rest: readonly string[],
  ) {
    this.rest = rest;
    this.command = command;
    this.#values = values;
    this.positional = positional;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  one(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  many(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A value of some kind, or the default; `parse` says `undefined` to what it is not. */
  read<T>(name: string, parse: (text: string) => T | undefined, expected: string): T | undefined {
    const text = this.one(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) {
      throw new UsageError(`--${name}: got "${text}", expected ${expected}`);
    }
    return value;
  }

  fail(message: string): never {
    throw new UsageError(`${message}; see 'vmferry ${this.command} --help'`);
  }
}

function readFlags(command: CommandName, args: readonly string[]): Given | "help" {
  const flags = flagsOf(command);
  const switches = flags.filter((f) => f.value === undefined).map((f) => f.name);
  const valued = flags.filter((f) => f.value !== undefined);
  const split = args.indexOf("--");
  const rest = split < 0 ? [] : args.slice(split + 1);
  const parsed = parseArgs(split < 0 ? args : args.slice(0, split), {
    boolean: [...switches, "help"],
    string: valued.map((f) => f.name),
    collect: valued.map((f) => f.name),
    alias: { help: "h" },
    unknown(arg, key) {
      if (key === undefined) return true;
      const near = closest(key, flags.map((f) => f.name));
      const hint = near ? `did you mean --${near}? See` : "see";
      throw new UsageError(
        `${arg.split("=")[0]} is no flag of "${command}"; ${hint} 'vmferry ${command} --help'`,
      );
    },
  });
  if (parsed.help === true) return "help";
  const values = new Map<string, readonly string[]>();
  for (const name of switches) if (parsed[name] === true) values.set(name, []);
  for (const { name, value, many } of valued) {
    const list = parsed[name] as string[];
    if (list.length === 0) continue;
    if (list.some((v) => v === "")) {
      throw new UsageError(`--${name} needs a value: --${name} ${value}`);
    }
    if (list.length > 1 && !many) throw new UsageError(`--${name} was given ${list.length} times`);
    values.set(name, list);
  }
  return new Given(command, values, parsed._.map(String), rest);
}

function parseReceive(given: Given): Command {
  noPositional(given);
  return {
    command: "receive",
    qmp: required(given, "qmp"),
    listen: ticketUnlessOther(given, listenOf(given)),
    disks: unique(given, given.many("disk").map(diskChoice), (d) => d.name),
    timeoutMs: seconds(given, "timeout", 0),
    resume: given.has("resume"),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}

function parseMigrate(given: Given): Command {
  const destination = destinationOf(given);
  if (!destination) {
    given.fail("migrate needs a DESTINATION, such as the vmferry://... that receive shows");
  }
  return {
    command: "migrate",
    qmp: required(given, "qmp"),
    destination,
    disks: unique(given, given.many("disk"), (d) => d),
    bandwidth: given.read("bandwidth", parseSize, BANDWIDTH) ?? null,
    maxDowntimeMs: given.read("max-downtime", parseDowntime, DOWNTIME) ?? 300,
    timeoutMs: seconds(given, "timeout", 0),
    timeoutAction: timeoutAction(given),
    quitSource: given.has("quit-source"),
    resume: given.has("resume"),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}

function parseForward(given: Given): Command {
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
    return { command: "forward", mode: { listen: listenOf(given), to }, ...rest };
  }
  if (!destination) given.fail("forward needs --listen ADDRESS or a DESTINATION");
  if (from.length === 0) given.fail("DESTINATION needs at least one --from NAME=unix:///PATH");
  return { command: "forward", mode: { destination, from }, ...rest };
}

function parseCheck(given: Given): Command {
  return {
    command: "check",
    qmp: required(given, "qmp"),
    destination: destinationOf(given),
    disks: unique(given, given.many("disk"), (d) => d),
    ...common(given),
    ...tunnel(given),
  };
}

function parseRecover(given: Given): Command {
  return {
    command: "recover",
    qmp: required(given, "qmp"),
    destination: destinationOf(given),
    yes: given.has("yes"),
    force: given.has("force-run-here"),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}

function common(given: Given): CommonOptions {
  if (given.has("quiet") && given.has("verbose")) {
    given.fail("--quiet and --verbose exclude each other");
  }
  return {
    json: given.has("json"),
    quiet: given.has("quiet"),
    verbose: given.has("verbose"),
    secretFile: given.one("secret-file"),
    insecure: given.has("insecure"),
  };
}

function choice(given: Given): ChoiceOptions {
  const { json, quiet, verbose } = common(given);
  return {
    qmp: given.one("qmp"),
    name: given.one("name"),
    runDir: given.one("run-dir"),
    ...{ json, quiet, verbose },
  };
}

function tunnel(given: Given): TunnelOptions {
  return {
    graceMs: seconds(given, "grace", 60_000),
    connectMs: seconds(given, "connect-timeout", 10_000),
    deadAfterMs: given.read("dead-after", (t) => {
      const ms = parseDuration(t, "s");
      return ms !== undefined && ms >= 1000 && ms <= 3_600_000 ? ms : undefined;
    }, "seconds from 1 to 3600") ?? 15_000,
    inFlight: given.read("in-flight", (t) => {
      const size = parseSize(t);
      return size !== undefined && size >= 65536 ? size : undefined;
    }, "a size of 64K or more, as 32M"),
    socketOwner: given.one("socket-owner"),
    ticketFile: given.one("ticket-file"),
    ...tlsFlags(given),
    ssh: sshFlags(given),
  };
}

function tlsFlags(given: Given): Pick<TunnelOptions, "tlsDir" | "allowClients"> {
  const address = given.one("listen") ?? given.positional[0] ?? "";
  const tlsDir = given.one("tls-dir");
  const allowClients = given.many("allow-client");
  if (address.startsWith("tls://")) {
    if (tlsDir === undefined) given.fail("tls:// needs --tls-dir DIR with the certificates");
    if (allowClients.length > 0 && !given.has("listen")) {
      given.fail("--allow-client is for the end that listens");
    }
  } else if (tlsDir !== undefined || allowClients.length > 0) {
    given.fail(`--${tlsDir === undefined ? "allow-client" : "tls-dir"} goes with tls:// only`);
  }
  return { tlsDir, allowClients };
}

function sshFlags(given: Given): SshFlags | undefined {
  const destination = given.positional[0] ?? "";
  const qmp = given.one("remote-qmp");
  const flags = ["ssh-option", "remote-command", "remote-qmp"].filter((f) => given.has(f));
  const isSsh = destination.startsWith("ssh://");
  if (!isSsh) {
    if (flags.length > 0) given.fail(`--${flags[0]} goes with ssh:// only`);
    if (given.rest.length > 0) given.fail("What comes after -- goes to the vmferry of ssh:// only");
    return undefined;
  }
  if (given.command === "recover") {
    given.fail("recover does not ask over ssh://; run 'vmferry recover' on that host");
  }
  const forwards = given.command === "forward";
  if (!forwards && qmp === undefined) {
    given.fail("ssh:// needs --remote-qmp PATH, the destination's QEMU over there");
  }
  return {
    options: given.many("ssh-option"),
    command: given.one("remote-command") ?? "vmferry",
    args: [
      ...(forwards ? ["forward"] : ["receive"]),
      "--stdio",
      ...(given.has("verbose")
        ? ["--verbose"]
        : given.rest.includes("--verbose")
        ? []
        : ["--quiet"]),
      ...(qmp === undefined ? [] : ["--qmp", qmp]),
      ...given.rest,
    ],
  };
}

function timeoutAction(given: Given): "abort" | "suspend" {
  const action = given.read(
    "timeout-action",
    (t) => t === "abort" || t === "suspend" ? t : undefined,
    "abort or suspend",
  );
  if (action && !given.has("timeout")) given.fail("--timeout-action needs --timeout SECONDS");
  return action ?? "abort";
}

function seconds(given: Given, name: string, otherwise: number): number {
  return given.read(name, (t) => {
    const ms = parseDuration(t, "s");
    return ms !== undefined && ms <= 86_400_000 ? ms : undefined;
  }, "seconds, as 30, at most a day") ?? otherwise;
}

function required(given: Given, name: string): string {
  return given.one(name) ?? given.fail(`${given.command} needs --${name}`);
}

function noPositional(given: Given): void {
  if (given.positional.length > 0) given.fail(`"${given.positional[0]}" is one argument too many`);
}

function destinationOf(given: Given): Destination | undefined {
  const [first, second] = given.positional;
  if (second !== undefined) given.fail(`"${second}" is one argument too many`);
  const file = given.one("ticket-file");
  if (first === "-") {
    if (file !== undefined) given.fail("--ticket-file and - exclude each other");
    return { transport: "ticket-file", file: "-", at: undefined };
  }
  const address = first === undefined ? undefined : parseAddress(first, "DESTINATION");
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

/** Where nothing else is asked for, a source proves itself by a ticket, over TLS. */
function ticketUnlessOther(given: Given, listen: Address | "stdio"): Address | "stdio" {
  const plain = given.has("secret-file") || given.has("insecure");
  if (listen === "stdio" || listen.transport !== "tcp" || plain) return listen;
  return { ...listen, transport: "ticket", ticket: undefined };
}

function listenOf(given: Given): Address | "stdio" {
  const listen = given.one("listen");
  if (given.has("stdio")) {
    if (listen !== undefined) given.fail("--listen and --stdio exclude each other");
    if (given.has("json")) given.fail("--json and --stdio both want standard output");
    return "stdio";
  }
  if (listen === undefined) given.fail(`${given.command} needs --listen ADDRESS or --stdio`);
  const address = parseAddress(listen, "--listen");
  if (address.transport === "ssh") {
    given.fail("ssh:// is for the source, which starts receive over there by itself");
  }
  if (address.transport === "ticket" && address.ticket) {
    given.fail("--listen: the ticket is made here; give vmferry://HOST:PORT or tcp://HOST:PORT");
  }
  return address;
}

function diskChoice(text: string): { name: string; local: string } {
  const [name = "", local = name, ...more] = text.split("=");
  if (name === "" || local === "" || more.length > 0) {
    throw new UsageError(`--disk: got "${text}", expected NAME or NAME=LOCAL`);
  }
  return { name, local };
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

function unique<T>(given: Given, items: readonly T[], nameOf: (item: T) => string): T[] {
  const seen = new Set<string>();
  for (const item of items) {
    if (seen.has(nameOf(item))) given.fail(`"${nameOf(item)}" was given twice`);
    seen.add(nameOf(item));
  }
  return [...items];
}
