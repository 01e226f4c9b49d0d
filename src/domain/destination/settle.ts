/**
 * Ends a destination's migration from its journal. What libvirt says about the domain decides; an image
 * that a guest may have run on stays.
 *
 * @module
 */
import { delay, messageOf } from "../../io/mod.ts";
import { type DomainRunState, domainState } from "../../libvirt/mod.ts";
import type { DestinationHost } from "./host.ts";
import type { DomainRecord } from "./record.ts";
import { hasRun } from "./has_run.ts";
import { removeCreated, removeSockets } from "./remove.ts";

/** How a domain is at the destination. */
export interface DomainStatus {
  readonly state: DomainRunState;
  /** libvirt's reason. */
  readonly reason: string;
  /** Its QEMU waits for the migration, or receives it. */
  readonly incoming: boolean;
}

/** Who says that the migration has failed. */
export type Word =
  /** The source: it runs the guest. */
  | "source"
  /** Nobody: the source is gone. */
  | "nobody";

/** What a migration has come to. */
export interface Settlement {
  /**
   * `here`: the domain is active here and not incoming. `removed`: it never ran here, and what was
   * created for it is gone. `split`: post-copy was cut off, a part of its RAM is still at the source.
   * `may-have-run`: it is not active here and may have been. `unclear`: libvirt
   * does not say.
   */
  readonly verdict: "here" | "removed" | "split" | "may-have-run" | "unclear";
  /** The last status; `undefined` where libvirt did not answer. */
  readonly status: DomainStatus | undefined;
  /** What could not be removed, or why it is unclear. */
  readonly left: readonly string[];
}

/** Time between two looks at a domain that is incoming, ms. */
const LOOK_MS = 250;
/** How long libvirt may take to destroy an incoming domain or to start it, ms. */
export const SETTLE_MS = 60_000;
/** How long one question may take, ms. */
const ASK_MS = 15_000;

/** Asks libvirt for a domain. */
export async function domainStatus(
  { virsh }: Pick<DestinationHost, "virsh">,
  uuid: string,
): Promise<DomainStatus> {
  const { state, reason } = await domainState(virsh, uuid, { timeoutMs: ASK_MS });
  // libvirt has QEMU paused with this reason from its start to the end of Finish.
  const incoming = state === "paused" && (reason === "migrating" || reason === "starting up");
  return { state, reason, incoming };
}

/**
 * Asks libvirt for a domain that a source may have, paused.
 *
 * @param hasRun whether it has run here since its migration.
 */
export async function statusForSource(
  host: Pick<DestinationHost, "virsh">,
  uuid: string,
  hasRun: () => Promise<boolean>,
): Promise<DomainStatus & { readonly hasRun: boolean }> {
  const status = await domainStatus(host, uuid);
  const isActive = status.state !== "absent" && status.state !== "shut-off";
  if (isActive || !await hasRun()) return { ...status, hasRun: false };
  // The source must not resume it: the guest has gone on here.
  return { state: "other", reason: "it has run there and ended", incoming: false, hasRun: true };
}

/**
 * Waits until the domain is not incoming, then removes what was created, unless the guest is here or may
 * have been. The caller has cut the channels: libvirt destroys an incoming domain when its client is
 * gone. Never rejects.
 */
export async function settle(
  host: DestinationHost,
  record: DomainRecord,
  word: Word,
  waitMs: number = SETTLE_MS,
): Promise<Settlement> {
  let status: DomainStatus | undefined;
  let why = "";
  const until = host.clock.now() + waitMs;
  while (true) {
    try {
      status = await domainStatus(host, record.uuid);
      const { reason } = status;
      if (reason === "post-copy failed") {
        return { verdict: "split", status, left: await removeSockets(host, record) };
      }
      if (!status.incoming && status.state !== "other" && reason !== "post-copy") break;
      why = `the domain is still ${status.state} (${status.reason})`;
    } catch (error) {
      status = undefined;
      why = messageOf(error);
    }
    if (host.clock.now() >= until) return { verdict: "unclear", status, left: [why] };
    await delay(host.clock, LOOK_MS);
  }
  const isActive = status.state !== "absent" && status.state !== "shut-off";
  if (isActive) {
    return { verdict: "here", status, left: await removeSockets(host, record) };
  }
  // The source says that it has the guest because none is active here: one that ended here is not either.
  if (record.mayHaveRun && (word === "nobody" || await hasRun(host, record).catch(() => true))) {
    const left = await removeSockets(host, record);
    return { verdict: "may-have-run", status, left };
  }
  return { verdict: "removed", status, left: await removeCreated(host, record) };
}
