import { type Clock, delay, type Logger, messageOf } from "../../../io/mod.ts";
import { domainState, jobInfo, type Virsh } from "../../../libvirt/mod.ts";
import {
  type DestinationFacts,
  isPostcopy,
  type SettleVerdict,
  settleVerdict,
  type SourceFacts,
} from "./verdict.ts";
import { AGAIN_MS, QUERY_MS } from "../waits.ts";

/** How long libvirt may take to decide, and the destination to answer, ms. */
const SETTLE_MS = 90_000;
/** How long libvirt may take to destroy or resume a domain, ms. */
const ACT_MS = 60_000;

/** A domain whose migration is to be settled. */
export interface SettleOptions {
  /** The source's libvirt, directly. */
  readonly source: Virsh;
  readonly uuid: string;
  readonly wasPaused: boolean;
  /** The source's definition goes with the guest. */
  readonly undefineSource: boolean;
  /**
   * Asks the destination.
   *
   * @throws while it does not answer.
   */
  readonly ask: () => Promise<DestinationFacts>;
  /**
   * Whether the host that answers is the one to which the guest was sent: only its "absent" says that
   * the guest may be resumed here.
   */
  readonly isTheOne: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Where the guest is. */
export type Settled =
  /** The source has it as before. */
  | { readonly outcome: "stays" }
  /** The source has it, and could not be resumed. */
  | { readonly outcome: "stuck"; readonly why: string }
  /** The destination has it; `left`: what could not be removed here. */
  | { readonly outcome: "migrated"; readonly guest: string; readonly left: readonly string[] }
  /** It ended at the source during the migration. */
  | { readonly outcome: "ended"; readonly reason: string }
  /** Nobody knows. `postcopy`: each host has a part of the guest's RAM. */
  | { readonly outcome: "unknown"; readonly why: string; readonly postcopy?: boolean };

/**
 * Finds out who has the guest after a `virsh migrate` that failed or was cut, and does what libvirt's last
 * step (Confirm) would have done. Never rejects.
 */
export async function settle(options: SettleOptions): Promise<Settled> {
  const { clock, log } = options;
  const until = clock.now() + SETTLE_MS;
  let why = "libvirt did not decide in time";
  let postcopy = false;
  while (true) {
    let verdict: SettleVerdict = "wait";
    let source: SourceFacts | undefined;
    // Asked anew each time: both sides change while libvirt decides.
    let destination: DestinationFacts | undefined;
    try {
      source = await sourceFacts(options);
      postcopy = source.state === "paused" && isPostcopy(source.reason);
      verdict = settleVerdict(source, destination);
      why = `the domain is ${source.state} (${source.reason}) at the source`;
      if (verdict === "ask") {
        destination = await options.ask();
        verdict = settleVerdict(source, destination);
        why = `the domain is ${source.state} (${source.reason}) at the source and ` +
          `${destination.state} (${destination.reason}) at the destination`;
      }
    } catch (error) {
      why = messageOf(error);
      log.log("debug", `settle: ${why}`);
    }
    if (verdict === "resume" && !options.isTheOne()) {
      return { outcome: "unknown", why: "the host that answers is not the one it was sent to" };
    }
    if (source && verdict !== "wait" && verdict !== "ask") {
      if (verdict === "split") return { outcome: "unknown", why, postcopy: true };
      return await carryOut(verdict, options, source, destination);
    }
    if (clock.now() >= until) {
      return { outcome: "unknown", why, ...(postcopy ? { postcopy } : {}) };
    }
    await delay(clock, AGAIN_MS);
  }
}

/** The domain at this host. */
export async function sourceFacts(
  { source, uuid, wasPaused }: Pick<SettleOptions, "source" | "uuid" | "wasPaused">,
): Promise<SourceFacts> {
  const limit = { timeoutMs: QUERY_MS };
  const asked = jobInfo(source, uuid, limit);
  asked.catch(() => {});
  const { state, reason } = await domainState(source, uuid, limit);
  const isActive = state === "running" || state === "paused";
  const job = isActive && isRunning((await asked).type);
  return { state, reason, job, wasPaused };
}

function isRunning(type: string): boolean {
  return type !== "none" && type !== "failed" && type !== "cancelled";
}

async function carryOut(
  verdict: Exclude<SettleVerdict, "wait" | "ask" | "split">,
  options: SettleOptions,
  { reason }: SourceFacts,
  destination: DestinationFacts | undefined,
): Promise<Settled> {
  const { source, uuid } = options;
  const limit = { timeoutMs: ACT_MS };
  const guest = destination?.state ?? "running";
  switch (verdict) {
    case "stays":
      return { outcome: "stays" };
    case "ended":
      return { outcome: "ended", reason };
    case "has-run":
      return { outcome: "unknown", why: "it ran at the destination and has ended there" };
    case "migrated":
      return { outcome: "migrated", guest, left: [] };
    case "resume":
      try {
        await source.call(["resume", "--domain", uuid], limit);
        return { outcome: "stays" };
      } catch (error) {
        return { outcome: "stuck", why: messageOf(error) };
      }
    case "finish":
      return { outcome: "migrated", guest, left: await destroy(options) };
  }
}

/** Ends the domain here, which the destination has. @returns the commands that are still to be run. */
async function destroy({ source, uuid, undefineSource, log }: SettleOptions): Promise<string[]> {
  const left: string[] = [];
  // A transient domain is gone once it is destroyed.
  const steps = [["destroy", "--domain", uuid]];
  if (undefineSource) steps.push(["undefine", "--domain", uuid, "--keep-nvram"]);
  for (const args of steps) {
    try {
      await source.call(args, { timeoutMs: ACT_MS });
    } catch (error) {
      const { state } = await domainState(source, uuid).catch(() => ({ state: "other" }));
      if (state === "absent" || (args[0] === "destroy" && state === "shut-off")) continue;
      log.log("warning", messageOf(error));
      left.push(`virsh -c ${source.uri} ${args.join(" ")}`);
    }
  }
  return left;
}
