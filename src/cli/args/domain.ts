/**
 * The commands on a domain of libvirt: `domain NAME DESTINATION` and `check domain NAME DESTINATION`.
 * Pure.
 *
 * @module
 */
import { BANDWIDTH, DOWNTIME, parseDowntime } from "./limits.ts";
import { type ParallelArguments, parallelOf } from "../parallel/args.ts";
import { parseSize } from "./size.ts";
import type { TimeoutAction } from "./timeout.ts";
import { common, type CommonOptions } from "./common.ts";
import { type Destination, destinationOf } from "./ends.ts";
import { type Given, seconds } from "./given.ts";
import { heldOf } from "./held.ts";
import { timeoutAction } from "./migration.ts";
import { RAM_FLAGS } from "./ram.ts";
import { tunnel, type TunnelOptions } from "./tunnel.ts";

/** libvirt's system daemon, also for users that `virsh` would connect to their own one. */
export const SYSTEM_URI = "qemu:///system";

/** What `domain` and `check domain` have. */
export interface DomainOptions extends CommonOptions, TunnelOptions {
  /** Name, UUID or id of the domain, as `virsh` takes it. */
  readonly domain: string;
  readonly destination: Destination;
  /** URI of this host's libvirt. */
  readonly connect: string;
  /** Targets of disks, such as `vda`, that both hosts share. */
  readonly shared: readonly string[];
  /** Targets of disks whose images at the destination may be overwritten. */
  readonly reuse: readonly string[];
  /** What the destination's disks hold already is not sent. */
  readonly delta: boolean;
  /** The arguments behind `--`, for `virsh migrate`. */
  readonly virshOptions: readonly string[];
  readonly runDir: string | undefined;
}

/** `vmferry domain`. Times in ms, bandwidth in bytes a second; `null`: no limit. */
export interface DomainCommand extends DomainOptions {
  readonly command: "domain";
  readonly bandwidth: number | null;
  readonly parallel: ParallelArguments;
  readonly maxDowntimeMs: number;
  readonly timeoutMs: number;
  readonly timeoutAction: TimeoutAction;
}

/** `vmferry check domain`. */
export interface CheckDomainCommand extends DomainOptions {
  readonly command: "check-domain";
}

/** Reads the options of `domain`. */
export function parseDomainCommand(given: Given): DomainCommand {
  return {
    command: "domain",
    ...optionsOf(given),
    bandwidth: given.read("bandwidth", parseSize, BANDWIDTH) ?? null,
    parallel: parallelOf(given),
    maxDowntimeMs: given.read("max-downtime", parseDowntime, DOWNTIME) ?? 300,
    timeoutMs: seconds(given, "timeout", 0),
    timeoutAction: domainTimeoutAction(given),
  };
}

/** Reads the options of `check domain`; the word `domain` is the first argument. */
export function parseCheckDomain(given: Given): CheckDomainCommand {
  for (const flag of ["qmp", "disk", "allow", "remote-qmp", ...RAM_FLAGS]) {
    if (given.has(flag)) given.fail(`--${flag} does not go with 'check domain'`);
  }
  return { command: "check-domain", ...optionsOf(given.behind(1)) };
}

function optionsOf(given: Given): DomainOptions {
  const [domain] = given.positional;
  if (domain === undefined || domain === "") {
    given.fail("The name of a domain is missing: domain NAME DESTINATION");
  }
  const rest = given.behind(1);
  const destination = destinationOf(rest);
  if (!destination) {
    given.failWithoutDestination(`The DESTINATION of domain "${domain}" is missing`);
  }
  const remote = given.one("remote-connect");
  const options = tunnel(rest, [
    ...["receive", "--stdio", "--libvirt"],
    ...(remote === undefined ? [] : ["--connect", remote]),
  ]);
  if (remote !== undefined && options.peerArgs.length === 0) {
    given.fail("--remote-connect goes with ssh:// only; give the other end --connect URI");
  }
  return {
    domain,
    destination,
    connect: given.one("connect") ?? SYSTEM_URI,
    ...heldOf(given),
    delta: given.has("delta"),
    virshOptions: given.rest,
    runDir: given.one("run-dir"),
    ...common(given),
    ...options,
  };
}

/** libvirt drives the QEMU of a domain: it takes post-copy by options of its own. */
function domainTimeoutAction(given: Given): TimeoutAction {
  const action = timeoutAction(given);
  if (action !== "postcopy") return action;
  given.fail("--timeout-action postcopy is not for a domain: give virsh its options behind --");
}
