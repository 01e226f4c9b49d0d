/**
 * The options of commands with a tunnel: its times and sizes, certificates, ssh. Pure.
 *
 * @module
 */
import { checkSocketPath } from "../endpoint/address.ts";
import { parseDuration, parseSize } from "./size.ts";
import { type Given, seconds } from "./given.ts";

/** How a vmferry over there is started. */
export interface SshFlags {
  /** As after ssh's `-o`. */
  readonly options: readonly string[];
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
}

/** What commands with a tunnel have. Times in ms, sizes in bytes. */
export interface TunnelOptions {
  readonly graceMs: number;
  readonly connectMs: number;
  readonly deadAfterMs: number;
  readonly inFlight: number | undefined;
  /** `USER[:GROUP]` that QEMU runs as, where it is another one. */
  readonly socketOwner: string | undefined;
  /** Where a listening end leaves its ticket. */
  readonly ticketFile: string | undefined;
  /** With `tls://`: where the certificates are. */
  readonly tlsDir: string | undefined;
  /** The names of which a client's certificate must have one; none = every client's is good. */
  readonly allowClients: readonly string[];
  /** With `ssh://`. */
  readonly ssh: SshFlags | undefined;
}

/** Reads {@link TunnelOptions}. */
export function tunnel(given: Given): TunnelOptions {
  return {
    graceMs: seconds(given, "grace", 60_000),
    connectMs: seconds(given, "connect-timeout", 10_000),
    deadAfterMs: given.read("dead-after", (t) => {
      const ms = parseDuration(t, "s");
      return ms !== undefined && ms >= 1000 && ms <= 3_600_000 ? ms : undefined;
    }, "seconds from 1 to 3600") ?? 15_000,
    inFlight: given.read("in-flight", (t) => {
      const size = parseSize(t);
      return size !== undefined && size >= 65536 ? size : undefined;
    }, "a size of 64K or more, as 32M"),
    socketOwner: given.one("socket-owner"),
    ticketFile: given.one("ticket-file"),
    ...tlsFlags(given),
    ssh: sshFlags(given),
  };
}

function tlsFlags(given: Given): Pick<TunnelOptions, "tlsDir" | "allowClients"> {
  const address = given.one("listen") ?? given.positional[0] ?? "";
  const tlsDir = given.one("tls-dir");
  const allowClients = given.many("allow-client");
  if (address.startsWith("tls://")) {
    if (tlsDir === undefined) given.fail("tls:// needs --tls-dir DIR with the certificates");
    if (allowClients.length > 0 && !given.has("listen")) {
      given.fail("--allow-client is for the end that listens");
    }
  } else if (tlsDir !== undefined || allowClients.length > 0) {
    given.fail(`--${tlsDir === undefined ? "allow-client" : "tls-dir"} goes with tls:// only`);
  }
  return { tlsDir, allowClients };
}

function sshFlags(given: Given): SshFlags | undefined {
  const destination = given.positional[0] ?? "";
  const qmp = given.one("remote-qmp");
  const flags = ["ssh-option", "remote-command", "remote-qmp"].filter((f) => given.has(f));
  const isSsh = destination.startsWith("ssh://");
  if (!isSsh) {
    if (flags.length > 0) given.fail(`--${flags[0]} goes with ssh:// only`);
    if (given.rest.length > 0) given.fail("What comes after -- goes to the vmferry of ssh:// only");
    return undefined;
  }
  if (given.command === "recover") {
    given.fail("recover does not ask over ssh://; run 'vmferry recover' on that host");
  }
  const forwards = given.command === "forward";
  if (!forwards && qmp === undefined) {
    given.fail("ssh:// needs --remote-qmp PATH, the destination's QEMU over there");
  }
  if (qmp !== undefined) checkSocketPath(qmp, "--remote-qmp");
  return {
    options: given.many("ssh-option"),
    command: given.one("remote-command") ?? "vmferry",
    args: [
      ...(forwards ? ["forward"] : ["receive"]),
      "--stdio",
      ...(given.has("verbose")
        ? ["--verbose"]
        : given.rest.includes("--verbose")
        ? []
        : ["--quiet"]),
      ...(qmp === undefined ? [] : ["--qmp", qmp]),
      ...given.rest,
    ],
  };
}
