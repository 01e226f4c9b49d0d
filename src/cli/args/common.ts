/**
 * The options of every command. Pure.
 *
 * @module
 */
import type { Given } from "./given.ts";

/** What every command has. */
export interface CommonOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly secretFile: string | undefined;
  readonly insecure: boolean;
}

/** Reads {@link CommonOptions}. */
export function common(given: Given): CommonOptions {
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
