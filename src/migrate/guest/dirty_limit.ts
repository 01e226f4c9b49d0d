import { messageOf } from "../../io/mod.ts";
import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import { versionOf } from "./run_states.ts";

const NAME = "dirty-limit";

/**
 * Why this QEMU cannot limit how much RAM each vCPU changes (capability `dirty-limit`, QEMU 8.1). Only QEMU knows
 * whether its KVM has a dirty ring, so the capability is switched on for a moment.
 *
 * @returns a message each; none where it can.
 */
export async function dirtyLimitProblems(qmp: QmpClient): Promise<string[]> {
  const capabilities = await qmp.execute("query-migrate-capabilities", {});
  const found = capabilities.find(({ capability }) => capability === NAME);
  if (!found) {
    return [
      `the source's QEMU ${versionOf(qmp)} has no dirty limit; 8.1 and later have it. ` +
      "Leave out --dirty-limit: vmferry throttles the guest if its RAM does not converge",
    ];
  }
  if (found.state) return [];
  const set = (state: boolean) =>
    qmp.execute("migrate-set-capabilities", { capabilities: [{ capability: NAME, state }] });
  try {
    await set(true);
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    return [
      "the source's QEMU cannot limit the guest's changes of RAM. It needs KVM with a dirty ring " +
      `('-accel kvm,dirty-ring-size=1024'): ${messageOf(error)}. Leave out --dirty-limit`,
    ];
  }
  await set(false);
  return [];
}
