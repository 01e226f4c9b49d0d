/**
 * The options of `virsh migrate` that a user gives after `--`.
 *
 * @module
 */
import { MIGRATE_OPTIONS, type OptionRule } from "./migrate_option_table.ts";

/** An option that cannot be used. The message names it and the reason. */
export class MigrateOptionError extends Error {
  /** The class, also in a bundle. */
  override name = "MigrateOptionError";
  /** The option, such as `--p2p`; the word itself where it is none. */
  readonly option: string;
  /** Makes the error. */
  constructor(option: string, message: string) {
    super(message);
    this.option = option;
  }
}

/** What the options mean to vmferry. */
export interface MigrateOptions {
  /**
   * The options for virsh, a value always in one word with its option (`--dname=vm2`). Without the ones
   * that vmferry sets by itself: `--live`, `--verbose`, `--copy-storage-…`, `--migrate-disks`.
   */
  readonly pass: readonly string[];
  /** `all`: whole disks. `inc`: the top images only; the images below exist at the destination. */
  readonly copy: "all" | "inc";
  /** Targets of the disks to copy; `null`: libvirt's choice, all that are not shared or read-only. */
  readonly migrateDisks: readonly string[] | null;
  /** The destination gets a persistent definition. */
  readonly persistent: boolean;
  /** The source loses its persistent definition. */
  readonly undefineSource: boolean;
  /** The domain stays paused at the destination. */
  readonly suspend: boolean;
  /** Its name at the destination; `null`: the same. */
  readonly destinationName: string | null;
  /** File with the domain's XML for the destination, which may have other paths. */
  readonly xmlFile: string | null;
  /** File with the persistent XML for the destination. */
  readonly persistentXmlFile: string | null;
  /** The migration may switch to post-copy. */
  readonly postcopy: boolean;
  /** RAM crosses in several connections. */
  readonly parallel: boolean;
  /** QEMU encrypts RAM and disks by itself. */
  readonly tls: boolean;
}

/**
 * Parses the words after `--`. A value stands after its option or after a `=`. An option that vmferry does
 * not know goes on to virsh; a word after it is taken as its value and joined with `=`, so that virsh
 * can take it for nothing else. (A value that begins with two dashes has to be joined by the user.)
 *
 * @throws {MigrateOptionError} for an option that cannot work through the connection, one that is given
 * twice or lacks its value, and a word that belongs to no option.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const options = parseMigrateOptions(["--live", "--persistent", "--dname", "vm2", "--new", "1"]);
 * assertEquals(options.pass, ["--persistent", "--dname=vm2", "--new=1"]);
 * assertEquals(options.destinationName, "vm2");
 * assertThrows(() => parseMigrateOptions(["--p2p"]), MigrateOptionError, "--p2p");
 * ```
 */
export function parseMigrateOptions(args: readonly string[]): MigrateOptions {
  const given = new Map<string, string | null>();
  for (let i = 0; i < args.length; i++) {
    const option = optionOf(args[i]!);
    const rule = MIGRATE_OPTIONS.get(option.name);
    if (rule?.refused !== undefined) throw refused(option.name, rule.refused);
    if (given.has(option.name)) {
      throw new MigrateOptionError(`--${option.name}`, `--${option.name} is given twice`);
    }
    const next = args[i + 1];
    const takesNext = option.value === null && next !== undefined && !next.startsWith("--") &&
      (rule === undefined || rule.value === true);
    if (takesNext) i++;
    given.set(option.name, checked(option.name, rule, takesNext ? next : option.value));
  }
  return meaning(given);
}

function optionOf(word: string): { name: string; value: string | null } {
  const match = /^--([^=]+)(?:=(.*))?$/s.exec(word);
  if (match === null) {
    throw new MigrateOptionError(
      word,
      `"${word}" belongs to no option of virsh migrate. Only options may follow "--": vmferry passes ` +
        "the domain and the URIs by itself",
    );
  }
  return { name: match[1]!, value: match[2] ?? null };
}

function checked(name: string, rule: OptionRule | undefined, value: string | null): string | null {
  if (rule?.value === true && (value === null || value === "")) {
    throw new MigrateOptionError(`--${name}`, `--${name} needs a value`);
  }
  if (rule !== undefined && rule.value !== true && value !== null) {
    throw new MigrateOptionError(`--${name}`, `--${name} takes no value, but got "${value}"`);
  }
  return value;
}

function refused(name: string, reason: string): MigrateOptionError {
  return new MigrateOptionError(`--${name}`, `--${name} of virsh migrate is refused: ${reason}`);
}

function meaning(given: ReadonlyMap<string, string | null>): MigrateOptions {
  const needs = (name: string, other: string) => {
    if (given.has(name) && !given.has(other)) {
      throw new MigrateOptionError(`--${name}`, `--${name} needs --${other}`);
    }
  };
  if (given.has("copy-storage-all") && given.has("copy-storage-inc")) {
    throw new MigrateOptionError(
      "--copy-storage-inc",
      "--copy-storage-all and --copy-storage-inc exclude each other",
    );
  }
  needs("postcopy-after-precopy", "postcopy");
  needs("parallel-connections", "parallel");
  needs("persistent-xml", "persistent");
  // libvirt checks the name in the certificate, and a UNIX socket has none.
  needs("tls", "tls-destination");
  const pass = [...given].filter(([name]) => MIGRATE_OPTIONS.get(name)?.own !== true)
    .map(([name, value]) => value === null ? `--${name}` : `--${name}=${value}`);
  return {
    pass,
    copy: given.has("copy-storage-inc") ? "inc" : "all",
    migrateDisks: given.get("migrate-disks")?.split(",").filter((target) => target !== "") ?? null,
    persistent: given.has("persistent"),
    undefineSource: given.has("undefinesource"),
    suspend: given.has("suspend"),
    destinationName: given.get("dname") ?? null,
    xmlFile: given.get("xml") ?? null,
    persistentXmlFile: given.get("persistent-xml") ?? null,
    postcopy: given.has("postcopy"),
    parallel: given.has("parallel"),
    tls: given.has("tls"),
  };
}
