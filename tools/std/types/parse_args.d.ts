/** The options of `parseArgs` that this project uses; see `@std/cli/parse-args`. */
export interface ParseOptions {
  /** Flags that take no value. */
  boolean?: readonly string[];
  /** Flags that take a value and stay text. */
  string?: readonly string[];
  /** Flags that may be given more than once; their value is a list. */
  collect?: readonly string[];
  /** Short names: `{ help: "h" }`. */
  alias?: Record<string, string | readonly string[]>;
  /** Stop at the first argument that is no flag. */
  stopEarly?: boolean;
  /** Put what follows `--` under the key `--`. */
  "--"?: boolean;
  /** Called for each flag not named above; `false` leaves it out of the result. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What `parseArgs` returns: flags by name, the other arguments under `_`. */
export type Args = { _: (string | number)[]; "--"?: string[] } & Record<string, unknown>;

export function parseArgs(args: readonly string[], options?: ParseOptions): Args;
