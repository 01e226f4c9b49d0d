/**
 * The options of a launch: `migrate --launch`, `check --launch`, `receive --launch`. Pure.
 *
 * @module
 */
import { type LaunchWishes, parsePathMap } from "../../launch/mod.ts";
import type { Address } from "../endpoint/address.ts";
import { common, type CommonOptions } from "./common.ts";
import { listenOf, noIdleTicketFile, ticketUnlessOther } from "./ends.ts";
import { type Given, noPositional, seconds, unique } from "./given.ts";
import { type HookArguments, hooksOf, type StartArguments, startOf } from "./hooks.ts";
import { syncOf } from "./sync.ts";
import { tunnel, type TunnelOptions } from "./tunnel.ts";
import { UsageError } from "./usage_error.ts";

/** What the source of a launch is given beside the options of a migration. */
export interface LaunchArguments
  extends Pick<LaunchWishes, "maps" | "diskPaths" | "sync" | "persist"> {
  /** A file with the command line to take in place of the running QEMU's. */
  readonly qemuCommand: string | undefined;
  /** Print the plan and change nothing. */
  readonly dryRun: boolean;
}

/** `vmferry receive --launch`. Times in ms. */
export interface ReceiveLaunchCommand extends CommonOptions, TunnelOptions {
  readonly command: "receive-launch";
  readonly listen: Address | "stdio";
  /** A source may ask for any program and option. */
  readonly any: boolean;
  readonly timeoutMs: number;
  readonly hooks: HookArguments;
  /** The commands start and stop QEMU, in place of the source's command line. */
  readonly started: StartArguments | undefined;
  readonly runDir: string | undefined;
}

/** Flags of a source that go with `--launch` only. */
const WITH_LAUNCH = ["dry-run", "qemu-command", "map", "persist", "start", "stop"];

/** Reads the options of a source's launch; `undefined` without `--launch`. */
export function launchOf(given: Given): LaunchArguments | undefined {
  if (!given.has("launch")) {
    for (const flag of WITH_LAUNCH) {
      if (given.has(flag)) given.fail(`--${flag} goes with --launch only`);
    }
    return undefined;
  }
  if (given.has("remote-qmp")) given.fail("--remote-qmp does not go with --launch");
  if (given.has("resume")) {
    given.fail(
      "--resume does not go with --launch. To continue a launched migration, leave --launch out",
    );
  }
  if (startOf(given) && given.has("persist")) {
    given.fail(
      "--persist does not go with --start: what starts the guest there also starts it at boot",
    );
  }
  const maps = given.many("map").map((text) => {
    const map = parsePathMap(text);
    if (map) return map;
    throw new UsageError(`--map: got "${text}", expected OLD=NEW, two absolute paths`);
  });
  return {
    maps: unique(given, maps, ({ from }) => from),
    diskPaths: diskChoices(given).flatMap(({ name, path }) =>
      path === undefined ? [] : [{ name, path }]
    ),
    sync: syncOf(given).sync,
    persist: given.has("persist"),
    qemuCommand: given.one("qemu-command"),
    dryRun: given.has("dry-run"),
  };
}

/** A disk of `--disk NAME` or, with `--launch`, `--disk NAME=PATH`. */
export interface DiskChoice {
  readonly name: string;
  readonly path: string | undefined;
}

/** Reads `--disk` of a source that launches. */
export function diskChoices(given: Given): DiskChoice[] {
  const choices = given.many("disk").map((text) => {
    const [, name = "", path] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
    if (name === "" || (path !== undefined && !path.startsWith("/"))) {
      throw new UsageError(`--disk: got "${text}", expected NAME or NAME=PATH, an absolute path`);
    }
    return { name, path };
  });
  return unique(given, choices, ({ name }) => name);
}

/** Flags of `receive` that speak of a QEMU which runs already, or of libvirt. */
const NOT_WITH_LAUNCH = ["qmp", "disk", "resume", "socket-owner", "libvirt", "connect"];

/** Reads the options of `receive --launch`. */
export function parseReceiveLaunch(given: Given): ReceiveLaunchCommand {
  noPositional(given);
  for (const flag of NOT_WITH_LAUNCH) {
    if (given.has(flag)) given.fail(`--${flag} does not go with --launch`);
  }
  const listen = ticketUnlessOther(given, listenOf(given));
  noIdleTicketFile(given, listen);
  return {
    command: "receive-launch",
    listen,
    any: given.has("launch-any"),
    timeoutMs: seconds(given, "timeout", 0),
    hooks: hooksOf(given),
    started: startOf(given),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}
