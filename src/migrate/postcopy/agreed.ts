import type { QmpClient } from "../../qmp/mod.ts";
import { schema } from "../../rpc/mod.ts";

/** What both ends have agreed on. */
export interface AgreedPostcopy {
  /** Pages that the guest waits for cross in a stream of their own: QEMU's `postcopy-preempt`. */
  readonly preempt: boolean;
}

/** Checks an {@link AgreedPostcopy} that was written to a journal or sent. */
export const agreedPostcopy: schema.Schema<AgreedPostcopy> = schema.object({
  preempt: schema.flag,
});

/** Whether this QEMU has `postcopy-preempt` as from 8.0 on: 7.1 and 7.2 connect the second stream otherwise. */
export function hasPreempt(qmp: Pick<QmpClient, "atLeast">): boolean {
  return qmp.atLeast(8, 0);
}

/** Capabilities of both QEMUs, instead of those of one stream; `null`: no post-copy. */
export function postcopyCapabilities(agreed: AgreedPostcopy | null): Record<string, boolean> {
  if (!agreed) return {};
  return { "postcopy-ram": true, ...agreed.preempt ? { "postcopy-preempt": true } : {} };
}

/** How many streams of the channel `ram` there are beside the main one. */
export function postcopyStreams(agreed: AgreedPostcopy | null): number {
  return agreed?.preempt ? 1 : 0;
}
