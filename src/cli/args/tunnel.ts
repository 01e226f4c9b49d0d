/**
 * The options of commands with a tunnel: its times and sizes, and the flags of its transport. Pure.
 *
 * @module
 */
import {
  type AddressedTransport,
  type FlagValues,
  splitAddress,
  TRANSPORTS,
} from "../../transport/mod.ts";
import { checkSocketPath } from "../endpoint/address.ts";
import { limits } from "../../tunnel/mod.ts";
import { parseDuration, parseSize } from "./size.ts";
import { type Given, seconds } from "./given.ts";

/** `on`: whatever shrinks. `auto`: only what has to wait for the connection. `off`: nothing, either way. */
export type CompressMode = "auto" | "on" | "off";

/** One frame of each connection, bytes. */
const LEAST_IN_FLIGHT = 65536;

const COMPRESS_MODES: readonly CompressMode[] = ["auto", "on", "off"];

/** What commands with a tunnel have. Times in ms, sizes in bytes. */
export interface TunnelOptions {
  readonly graceMs: number;
  readonly connectMs: number;
  readonly deadAfterMs: number;
  readonly inFlight: number | undefined;
  /** Connections of a session. */
  readonly connections: number;
  readonly compress: CompressMode;
  /** `USER[:GROUP]` that QEMU runs as, where it is another one. */
  readonly socketOwner: string | undefined;
  /** Where a listening end leaves its ticket. */
  readonly ticketFile: string | undefined;
  /** The flags of the address's transport that were given. */
  readonly transportFlags: FlagValues;
  /** The arguments of the vmferry that the transport starts at the other end, where it does. */
  readonly peerArgs: readonly string[];
}

/**
 * Reads {@link TunnelOptions}.
 *
 * @param started arguments of the vmferry that the transport starts at the other end, where the command
 * decides them alone and the arguments behind `--` are not that vmferry's.
 */
export function tunnel(given: Given, started?: readonly string[]): TunnelOptions {
  const address = given.one("listen") ?? given.positional[0] ?? "";
  const transport = splitAddress(address)?.transport;
  const count = connections(given, transport);
  const many = count > 1 ? ` for ${count} connections` : "";
  return {
    graceMs: seconds(given, "grace", 60_000),
    connectMs: seconds(given, "connect-timeout", 10_000),
    deadAfterMs: given.read("dead-after", (t) => {
      const ms = parseDuration(t, "s");
      return ms !== undefined && ms >= 1000 && ms <= 3_600_000 ? ms : undefined;
    }, "seconds from 1 to 3600") ?? 15_000,
    inFlight: given.read("in-flight", (t) => {
      const size = parseSize(t);
      return size !== undefined && size >= count * LEAST_IN_FLIGHT ? size : undefined;
    }, `a size of ${count * LEAST_IN_FLIGHT / 1024}K or more${many}, as 32M`),
    connections: count,
    compress: given.read(
      "compress",
      (t) => COMPRESS_MODES.find((mode) => mode === t),
      "auto, on or off",
    ) ?? "auto",
    socketOwner: given.one("socket-owner"),
    ticketFile: given.one("ticket-file"),
    transportFlags: transportFlags(given, transport),
    peerArgs: started ? startedArgs(given, transport, started) : peerArgs(given, transport),
  };
}

/** Reads `--connections`. */
function connections(
  given: Given,
  inUse: Pick<AddressedTransport<never>, "mayReconnect" | "scheme"> | undefined,
): number {
  const count = given.read("connections", (text) => {
    const count = /^\d{1,2}$/.test(text) ? Number(text) : 0;
    return count >= 1 && count <= limits.MAX_LANES ? count : undefined;
  }, `a number from 1 to ${limits.MAX_LANES}`) ?? 1;
  if (given.has("connections") && (given.has("listen") || given.has("stdio"))) {
    given.fail("--connections is for the end that connects");
  }
  if (count > 1 && inUse?.mayReconnect === false) {
    const { scheme } = inUse;
    given.fail(
      `--connections does not go with ${scheme}://, which has one connection to the peer that it starts`,
    );
  }
  return count;
}

type InUse = { readonly name: string; readonly startsPeer: boolean } | undefined;

/** Reads the flags of the transport in use; a flag of another one is refused. */
function transportFlags(given: Given, inUse: InUse): FlagValues {
  const end = given.has("listen") || given.has("stdio") ? "listening" : "connecting";
  const values: Record<string, readonly string[]> = {};
  for (const { name, scheme, flags } of TRANSPORTS) {
    for (const flag of flags) {
      const isGiven = given.has(flag.name);
      if (name === inUse?.name && flag.required && !isGiven) {
        given.fail(`${scheme}:// needs --${flag.name} ${flag.value}`);
      }
      if (!isGiven) continue;
      if (name !== inUse?.name) given.fail(`--${flag.name} goes with ${scheme}:// only`);
      if (flag.end !== "both" && flag.end !== end) {
        given.fail(`--${flag.name} is for the end that ${ENDS[flag.end]}`);
      }
      values[flag.name] = given.many(flag.name);
    }
  }
  return values;
}

const ENDS = { listening: "listens", connecting: "connects" } as const;

/** Puts together the arguments of the vmferry that the transport starts at the other end. */
function peerArgs(given: Given, inUse: InUse): readonly string[] {
  const qmp = given.one("remote-qmp");
  if (!inUse?.startsPeer) {
    if (given.command !== "receive" && given.has("start")) {
      // The destination's administrator decides which programs run there.
      given.fail(
        `--start and --stop go with ${STARTERS} only; give them to receive --launch there`,
      );
    }
    if (qmp !== undefined) given.fail(`--remote-qmp goes with ${STARTERS} only`);
    if (given.rest.length > 0) {
      given.fail(`Arguments behind -- go to the vmferry of ${STARTERS} only`);
    }
    return [];
  }
  if (given.command === "recover") {
    given.fail(`recover does not ask over ${STARTERS}; run 'vmferry recover' on that host`);
  }
  const forwards = given.command === "forward";
  const launches = given.has("launch");
  const resumes = given.has("resume") && !given.rest.includes("--resume");
  if (!forwards && !launches && qmp === undefined) {
    given.fail(
      `${STARTERS} needs --remote-qmp PATH, the destination's QEMU on that host; or --launch, which starts it`,
    );
  }
  if (qmp !== undefined) checkSocketPath(qmp, "--remote-qmp");
  return [
    ...(forwards ? ["forward"] : ["receive"]),
    "--stdio",
    ...(given.has("verbose") ? ["--verbose"] : given.rest.includes("--verbose") ? [] : ["--quiet"]),
    ...(launches ? ["--launch", ...siteArgs(given)] : qmp === undefined ? [] : ["--qmp", qmp]),
    // What this end goes on with is cut off there, too.
    ...(resumes ? ["--resume"] : []),
    ...given.rest,
  ];
}

/** The commands that start and stop the QEMU of a launch there. */
function siteArgs(given: Given): readonly string[] {
  const names = given.has("start") ? ["start", "stop", "hook-timeout"] : [];
  return names.flatMap((name) => {
    const value = given.one(name);
    return value === undefined ? [] : [`--${name}`, value];
  });
}

function startedArgs(given: Given, inUse: InUse, args: readonly string[]): readonly string[] {
  if (!inUse?.startsPeer) return [];
  return [...args, given.has("verbose") ? "--verbose" : "--quiet"];
}

const STARTERS = TRANSPORTS.filter((t) => t.startsPeer).map((t) => `${t.scheme}://`).join(" or ");
