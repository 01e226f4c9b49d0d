/**
 * The flags and arguments of a command as they were given, and checks that several commands share.
 * Pure: here and in the files beside it, what is wrong is thrown as a `UsageError` with a hint.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import type { CommandName } from "../help/flag.ts";
import { flagsOf } from "../help/flags.ts";
import { parseDuration } from "./size.ts";
import { closest } from "./suggest.ts";
import { UsageError } from "./usage_error.ts";

/** An address with a host: no flag but --listen has such a value. */
const DESTINATION = /^(ssh|tcp|tls|vmferry):\/\//;

/** What was given, checked for being known, complete and not doubled, but not yet for its sense. */
export class Given {
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

  /** A value of some kind, if it was given; `parse` says `undefined` to what it is not. */
  read<T>(name: string, parse: (text: string) => T | undefined, expected: string): T | undefined {
    const text = this.one(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) {
      throw new UsageError(`--${name}: got "${text}", expected ${expected}`);
    }
    return value;
  }

  /** The same without the first `count` arguments. */
  behind(count: number): Given {
    return new Given(this.command, this.#values, this.positional.slice(count), this.rest);
  }

  /** Throws because the DESTINATION is missing; says so if a flag without a value of its own has taken it. */
  failWithoutDestination(message: string): never {
    for (const [name, values] of this.#values) {
      const taken = values.find((value) => DESTINATION.test(value));
      if (taken !== undefined) {
        this.fail(`${message}. "${taken}" is the value of --${name}, which comes before it`);
      }
    }
    this.fail(message);
  }

  /** Throws, with where to read on. */
  fail(message: string): never {
    throw new UsageError(`${message}; see 'vmferry ${this.command} --help'`);
  }
}

/**
 * Reads what comes after the command; `"help"` where that is asked for.
 *
 * @throws {UsageError} when a flag is unknown, lacks its value or was given too often.
 */
export function readFlags(command: CommandName, args: readonly string[]): Given | "help" {
  const flags = flagsOf(command);
  const switches = flags.filter((f) => f.value === undefined).map((f) => f.name);
  const valued = flags.filter((f) => f.value !== undefined);
  const split = args.indexOf("--");
  const rest = split < 0 ? [] : args.slice(split + 1);
  const own = split < 0 ? args : args.slice(0, split);
  for (const arg of own) {
    const [flag = "", value] = arg.split(/=(.*)/s);
    // It would count as given whatever the value is.
    if (value !== undefined && flag.startsWith("--") && switches.includes(flag.slice(2))) {
      throw new UsageError(
        `${flag} takes no value, got "${value}". Leave it out if it is not meant`,
      );
    }
  }
  const parsed = parseArgs(withNumbers(own, valued.map((f) => `--${f.name}`)), {
    boolean: [...switches, "help"],
    // An argument stays as it was typed, however much it looks like a number.
    string: [...valued.map((f) => f.name), "_"],
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

/** `--grace -1` as `--grace=-1`: no flag of ours begins with a digit, so that is the value. */
function withNumbers(args: readonly string[], valued: readonly string[]): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const flag = joined.at(-1) ?? "";
    if (valued.includes(flag) && /^-[\d.]/.test(arg)) joined.splice(-1, 1, `${flag}=${arg}`);
    else joined.push(arg);
  }
  return joined;
}

/** The time in seconds that a flag gives, a day at most, as ms; `otherwise` without the flag. */
export function seconds(given: Given, name: string, otherwise: number): number {
  return given.read(name, (t) => {
    const ms = parseDuration(t, "s");
    return ms !== undefined && ms <= 86_400_000 ? ms : undefined;
  }, "seconds, as 30, at most a day") ?? otherwise;
}

/** The value of a flag that the command can't do without. */
export function required(given: Given, name: string): string {
  return given.one(name) ?? given.fail(`${given.command} needs --${name}`);
}

/** Fails when there is an argument that no flag takes. */
export function noPositional(given: Given): void {
  if (given.positional.length > 0) given.fail(`"${given.positional[0]}" is one argument too many`);
}

/** Fails when there is something behind `--`. */
export function noRest(given: Given): void {
  if (given.rest.length > 0) given.fail(`"${given.rest[0]}" after -- is one argument too many`);
}

/** The items, of which no two may have the same name. */
export function unique<T>(given: Given, items: readonly T[], nameOf: (item: T) => string): T[] {
  const seen = new Set<string>();
  for (const item of items) {
    if (seen.has(nameOf(item))) given.fail(`"${nameOf(item)}" was given twice`);
    seen.add(nameOf(item));
  }
  return [...items];
}
