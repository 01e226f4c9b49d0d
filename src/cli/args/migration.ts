/**
 * The commands that work on a QEMU: `receive`, `migrate`, `check` and `recover`. Pure.
 *
 * @module
 */
import { ALLOWABLE, type RamChoices, type RuleName } from "../../migrate/mod.ts";
import { type Address, checkSocketPath } from "../endpoint/address.ts";
import { BANDWIDTH, DOWNTIME, parseDowntime } from "./limits.ts";
import { type ParallelArguments, parallelOf } from "../parallel/args.ts";
import { parseSize } from "./size.ts";
import { parseTimeoutAction, TIMEOUT_ACTION, type TimeoutAction } from "./timeout.ts";
import { UsageError } from "./usage_error.ts";
import { common, type CommonOptions } from "./common.ts";
import {
  type Destination,
  destinationOf,
  listenOf,
  noIdleTicketFile,
  ticketUnlessOther,
} from "./ends.ts";
import { heldOf } from "./held.ts";
import { type HookArguments, hooksOf, type StartArguments, startOf } from "./hooks.ts";
import { diskChoices, type LaunchArguments, launchOf } from "./launch.ts";
import { ramOf } from "./ram.ts";
import { type Given, noPositional, required, seconds, unique } from "./given.ts";
import { type SyncArguments, syncOf } from "./sync.ts";
import { tunnel, type TunnelOptions } from "./tunnel.ts";

/** `vmferry receive`. Times in ms. */
export interface ReceiveCommand extends CommonOptions, TunnelOptions {
  readonly command: "receive";
  readonly qmp: string;
  readonly listen: Address | "stdio";
  readonly disks: readonly { readonly name: string; readonly local: string }[];
  readonly timeoutMs: number;
  readonly hooks: HookArguments;
  /** QEMU is started when a source comes. */
  readonly started: StartArguments | undefined;
  readonly resume: boolean;
  readonly runDir: string | undefined;
}

/** `vmferry migrate`. Times in ms, bandwidth in bytes a second; `null`: no limit. */
export interface MigrateCommand extends CommonOptions, TunnelOptions, SyncArguments {
  readonly command: "migrate";
  readonly qmp: string;
  readonly destination: Destination;
  readonly disks: readonly string[];
  readonly shared: readonly string[];
  readonly reuse: readonly string[];
  readonly bandwidth: number | null;
  readonly parallel: ParallelArguments;
  readonly maxDowntimeMs: number;
  /** How RAM crosses. */
  readonly ram: RamChoices;
  readonly timeoutMs: number;
  readonly timeoutAction: TimeoutAction;
  readonly quitSource: boolean;
  readonly allow: readonly RuleName[];
  readonly resume: boolean;
  readonly hooks: HookArguments;
  /** The destination is built and its QEMU started. */
  readonly launch: LaunchArguments | undefined;
  readonly runDir: string | undefined;
}

/** `vmferry check`. */
export interface CheckCommand extends CommonOptions, TunnelOptions, SyncArguments {
  readonly command: "check";
  readonly qmp: string;
  readonly allow: readonly RuleName[];
  /** How RAM would cross. */
  readonly ram: RamChoices;
  readonly destination: Destination | undefined;
  readonly disks: readonly { readonly name: string; readonly local: string }[];
  readonly shared: readonly string[];
  readonly reuse: readonly string[];
  /** The destination would be built and its QEMU started. */
  readonly launch: LaunchArguments | undefined;
  readonly runDir: string | undefined;
}

/** `vmferry recover`. */
export interface RecoverCommand extends CommonOptions, TunnelOptions {
  readonly command: "recover";
  readonly qmp: string;
  readonly destination: Destination | undefined;
  readonly yes: boolean;
  /** The user's word that the guest does not run at the other end. */
  readonly force: boolean;
  readonly runDir: string | undefined;
}

/** Reads the options of `receive`. */
export function parseReceive(given: Given): ReceiveCommand {
  noPositional(given);
  if (given.has("launch-any")) given.fail("--launch-any goes with --launch only");
  const listen = ticketUnlessOther(given, listenOf(given));
  noIdleTicketFile(given, listen);
  const started = startOf(given);
  if (started && given.has("resume")) {
    given.fail("--resume continues with a QEMU that runs: it does not go with --start and --stop");
  }
  return {
    command: "receive",
    qmp: qmpOf(given),
    listen,
    disks: unique(given, given.many("disk").map(diskChoice), (d) => d.name),
    timeoutMs: seconds(given, "timeout", 0),
    hooks: hooksOf(given),
    started,
    resume: given.has("resume"),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}

/** Reads the options of `migrate`. */
export function parseMigrate(given: Given): MigrateCommand {
  const destination = destinationOf(given);
  if (!destination) {
    given.failWithoutDestination(
      "migrate needs a DESTINATION, such as ssh://root@host2 or the vmferry://... that receive prints",
    );
  }
  const launch = launchOf(given);
  const disks = launch
    ? diskChoices(given).map(({ name }) => name)
    : unique(given, given.many("disk"), (d) => d);
  return {
    command: "migrate",
    qmp: qmpOf(given),
    destination,
    disks,
    ...heldOf(given),
    ...syncOf(given),
    launch,
    bandwidth: given.read("bandwidth", parseSize, BANDWIDTH) ?? null,
    parallel: parallelOf(given),
    maxDowntimeMs: given.read("max-downtime", parseDowntime, DOWNTIME) ?? 300,
    ram: ramOf(given),
    timeoutMs: seconds(given, "timeout", 0),
    timeoutAction: timeoutAction(given),
    quitSource: given.has("quit-source"),
    allow: allowed(given),
    hooks: hooksOf(given),
    resume: given.has("resume"),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}

/** Reads the options of `check`. */
export function parseCheck(given: Given): CheckCommand {
  const launch = launchOf(given);
  const destination = destinationOf(given);
  if (launch && !destination) {
    given.failWithoutDestination("check --launch needs a DESTINATION, such as ssh://root@host2");
  }
  given.read("timeout-action", parseTimeoutAction, TIMEOUT_ACTION);
  const disks = launch
    ? diskChoices(given).map(({ name }) => ({ name, local: name }))
    : unique(given, given.many("disk").map(diskChoice), (d) => d.name);
  return {
    command: "check",
    qmp: qmpOf(given),
    allow: allowed(given),
    ram: ramOf(given),
    destination,
    disks,
    launch,
    ...heldOf(given),
    ...syncOf(given),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}

/** Reads the options of `recover`. */
export function parseRecover(given: Given): RecoverCommand {
  return {
    command: "recover",
    qmp: qmpOf(given),
    destination: destinationOf(given),
    yes: given.has("yes"),
    force: given.has("force-run-here"),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}

function qmpOf(given: Given): string {
  return checkSocketPath(required(given, "qmp"), "--qmp");
}

function allowed(given: Given): RuleName[] {
  return unique(given, given.many("allow"), (name) => name).map((name) => {
    const rule = ALLOWABLE.find((known) => known === name);
    if (rule !== undefined) return rule;
    throw new UsageError(`--allow: got "${name}", expected one of ${ALLOWABLE.join(", ")}`);
  });
}

function diskChoice(text: string): { name: string; local: string } {
  const [name = "", local = name, ...more] = text.split("=");
  if (name === "" || local === "" || more.length > 0) {
    throw new UsageError(`--disk: got "${text}", expected NAME or NAME=LOCAL`);
  }
  return { name, local };
}

/** Reads `--timeout-action`, which needs `--timeout`. */
export function timeoutAction(given: Given): TimeoutAction {
  const action = given.read("timeout-action", parseTimeoutAction, TIMEOUT_ACTION);
  if (action && !given.has("timeout")) given.fail("--timeout-action needs --timeout SECONDS");
  return action ?? "abort";
}
