import { type Given, seconds } from "./given.ts";

/** How long a command of the user may take where nothing else is said, ms. */
const TIMEOUT_MS = 30_000;

/** Commands of the user, each as sh reads it. */
export interface HookArguments {
  readonly beforeSwitchover: string | undefined;
  readonly after: string | undefined;
  /** How long each may take, ms. */
  readonly timeoutMs: number;
}

/** Flags that give a command. */
const COMMANDS = ["hook-before-switchover", "hook-after", "start", "stop"];

/** `--start` and `--stop`: how the destination's QEMU is started and stopped. */
export interface StartArguments {
  readonly start: string;
  readonly stop: string;
}

/** Reads `--start` and `--stop`, which need each other; `undefined` without them. */
export function startOf(given: Given): StartArguments | undefined {
  const [start, stop] = [given.one("start"), given.one("stop")];
  if (start === undefined && stop === undefined) return undefined;
  if (start === undefined) given.fail("--stop needs --start");
  if (stop === undefined) given.fail("--start needs --stop, which undoes it after a failure");
  return { start, stop };
}

/** Reads `--hook-before-switchover`, `--hook-after` and `--hook-timeout`. Pure. */
export function hooksOf(given: Given): HookArguments {
  const isIdle = COMMANDS.every((flag) => !given.has(flag));
  if (given.has("hook-timeout") && isIdle) {
    given.fail("--hook-timeout needs a hook, or --start and --stop");
  }
  const timeoutMs = seconds(given, "hook-timeout", TIMEOUT_MS);
  if (timeoutMs === 0) given.fail("--hook-timeout must be longer than 0 s");
  return {
    beforeSwitchover: given.one("hook-before-switchover"),
    after: given.one("hook-after"),
    timeoutMs,
  };
}
