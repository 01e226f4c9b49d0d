/**
 * The commands `copy` and `receive --copy`. Pure.
 *
 * @module
 */
import { parsePathMap, type PathMap } from "../../launch/mod.ts";
import type { Address } from "../endpoint/address.ts";
import { common, type CommonOptions } from "../args/common.ts";
import {
  type Destination,
  destinationOf,
  listenOf,
  noIdleTicketFile,
  ticketUnlessOther,
} from "../args/ends.ts";
import { type Given, noPositional, noRest, seconds, unique } from "../args/given.ts";
import { BANDWIDTH } from "../args/limits.ts";
import { type ParallelArguments, parallelOf } from "../parallel/args.ts";
import { parseSize } from "../args/size.ts";
import { tunnel, type TunnelOptions } from "../args/tunnel.ts";
import { UsageError } from "../args/usage_error.ts";

/** `vmferry copy`. Bandwidth in bytes a second; `null`: no limit. */
export interface CopyCommand extends CommonOptions, TunnelOptions {
  readonly command: "copy";
  readonly images: readonly string[];
  readonly destination: Destination;
  readonly maps: readonly PathMap[];
  /** Of all images; `undefined`: what each looks like. */
  readonly format: "raw" | "qcow2" | undefined;
  /** Paths at the destination. */
  readonly reuse: readonly string[];
  readonly resume: boolean;
  readonly delta: boolean;
  readonly verify: boolean;
  readonly bandwidth: number | null;
  readonly parallel: ParallelArguments;
  readonly runDir: string | undefined;
}

/** `vmferry receive --copy`. Times in ms. */
export interface ReceiveCopyCommand extends CommonOptions, TunnelOptions {
  readonly command: "receive-copy";
  readonly listen: Address | "stdio";
  readonly timeoutMs: number;
  readonly runDir: string | undefined;
}

/** Reads the options of `copy`. */
export function parseCopy(given: Given): CopyCommand {
  const last = given.positional.at(-1) ?? "";
  const hasDestination = last === "-" || last.includes("://");
  const images = hasDestination ? given.positional.slice(0, -1) : given.positional;
  const end = given.behind(images.length);
  const destination = destinationOf(end);
  if (!destination) {
    given.failWithoutDestination(
      "copy needs a DESTINATION, such as ssh://root@host2 or the vmferry://... that receive prints",
    );
  }
  if (images.length === 0) given.fail("copy needs at least one IMAGE");
  const maps = given.many("map").map((text) => {
    const map = parsePathMap(text);
    if (map) return map;
    throw new UsageError(`--map: got "${text}", expected OLD=NEW, two absolute paths`);
  });
  const reuse = given.many("reuse").map((path) => {
    if (path.startsWith("/")) return path;
    throw new UsageError(`--reuse: got "${path}", expected an absolute path at the destination`);
  });
  if (given.has("delta") && reuse.length === 0) {
    throw new UsageError(
      "--delta needs --reuse PATH: the destination's image with most of the contents already",
    );
  }
  if (destination.transport !== "ssh") noRest(given);
  return {
    command: "copy",
    images: unique(given, images, (image) => image),
    destination,
    maps: unique(given, maps, ({ from }) => from),
    format: given.read(
      "format",
      (text) => text === "raw" || text === "qcow2" ? text : undefined,
      "raw or qcow2",
    ),
    reuse: unique(given, reuse, (path) => path),
    resume: given.has("resume"),
    delta: given.has("delta"),
    verify: given.has("verify"),
    bandwidth: given.read("bandwidth", parseSize, BANDWIDTH) ?? null,
    parallel: parallelOf(given),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(end, ["receive", "--copy", "--stdio", ...given.rest]),
  };
}

/** Flags of `receive` that speak of a QEMU, of a launch or of libvirt. */
const NOT_WITH_COPY = [
  ...["qmp", "disk", "resume", "socket-owner", "libvirt", "connect", "launch", "launch-any"],
  ...["start", "stop", "hook-before-switchover", "hook-after", "hook-timeout"],
];

/** Reads the options of `receive --copy`. */
export function parseReceiveCopy(given: Given): ReceiveCopyCommand {
  noPositional(given);
  for (const flag of NOT_WITH_COPY) {
    if (given.has(flag)) given.fail(`--${flag} does not go with --copy`);
  }
  const listen = ticketUnlessOther(given, listenOf(given));
  noIdleTicketFile(given, listen);
  return {
    command: "receive-copy",
    listen,
    timeoutMs: seconds(given, "timeout", 0),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}
