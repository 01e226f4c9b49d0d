import { LibvirtUriError, parseLibvirtUri } from "../../libvirt/mod.ts";
import type { Address } from "../endpoint/address.ts";
import { common, type CommonOptions } from "./common.ts";
import { SYSTEM_URI } from "./domain.ts";
import { listenOf, noIdleTicketFile, ticketUnlessOther } from "./ends.ts";
import { type Given, noPositional, seconds } from "./given.ts";
import { tunnel, type TunnelOptions } from "./tunnel.ts";
import { UsageError } from "./usage_error.ts";

/** `vmferry receive --libvirt`. Times in ms. */
export interface ReceiveDomainCommand extends CommonOptions, TunnelOptions {
  readonly command: "receive-domain";
  /** URI of this host's libvirt. */
  readonly connect: string;
  readonly listen: Address | "stdio";
  readonly timeoutMs: number;
  readonly runDir: string | undefined;
}

/** Flags that speak of a QEMU, which libvirt starts by itself. */
const FOR_QEMU = [
  ...["qmp", "disk", "resume", "socket-owner"],
  // libvirt has hooks of its own.
  ...["hook-before-switchover", "hook-after", "hook-timeout", "start", "stop"],
];

/** Reads the options of `receive --libvirt`. Pure. */
export function parseReceiveDomain(given: Given): ReceiveDomainCommand {
  noPositional(given);
  for (const flag of FOR_QEMU) {
    if (given.has(flag)) given.fail(`--${flag} does not go with --libvirt`);
  }
  const connect = given.one("connect") ?? SYSTEM_URI;
  try {
    parseLibvirtUri(connect);
  } catch (error) {
    if (!(error instanceof LibvirtUriError)) throw error;
    throw new UsageError(`--connect: ${error.message}`);
  }
  const listen = ticketUnlessOther(given, listenOf(given));
  noIdleTicketFile(given, listen);
  return {
    command: "receive-domain",
    connect,
    listen,
    timeoutMs: seconds(given, "timeout", 0),
    runDir: given.one("run-dir"),
    ...common(given),
    ...tunnel(given),
  };
}
