/**
 * Sources whose RAM must cross in a single pass.
 *
 * @module
 */
import type { QmpClient } from "../../qmp/mod.ts";
import { versionOf } from "./run_states.ts";

/**
 * Whether this QEMU loses writes of a running guest when it sends RAM more than once: every QEMU
 * before 9.0 that runs the guest with TCG (seen with 7.2.22; not with 10.0). When such a QEMU collects
 * the dirty pages, it does not tell the TLBs of the vCPUs, and a page that stays in one of them is
 * never called dirty again. After `migrate` QEMU flushes all TLBs once, so that a single pass is safe.
 * Fixed by "physmem: Fix migration dirty bitmap coherency with TCG memory access" in 9.0.
 *
 * `query-kvm` is in every QEMU that vmferry works with. What is neither KVM nor TCG counts as TCG: a
 * single pass is right for any of them.
 */
export async function needsSinglePass(qmp: QmpClient): Promise<boolean> {
  if (qmp.atLeast(9, 0)) return false;
  return !(await qmp.execute("query-kvm", {})).enabled;
}

/** The warning that a migration in a single pass reports. */
export function singlePassWarning(qmp: Pick<QmpClient, "version">): string {
  return `source: QEMU ${
    versionOf(qmp)
  } with TCG loses writes of a running guest if it sends RAM ` +
    "more than once. vmferry has it send RAM once, then pauses the guest for the pages that changed " +
    "meanwhile: --max-downtime does not apply, nor does a throttle of the guest. Use KVM, or QEMU 9.0 or newer, for a short downtime.";
}
