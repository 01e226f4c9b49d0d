import { type QmpClient, QmpCommandError, queryMigrate } from "../../qmp/mod.ts";
import { needsSinglePass } from "../guest/single_pass.ts";
import { versionOf } from "../guest/run_states.ts";

const CAPABILITY = "postcopy-ram";

/** The reason for a refusal of a destination whose vmferry does not know post-copy. */
export const NO_POSTCOPY_THERE =
  "the destination's vmferry is older and knows no post-copy. Update it, or leave post-copy out";

/** Why the source's QEMU cannot do post-copy, a message each. */
export async function postcopyProblemsHere(qmp: QmpClient): Promise<string[]> {
  // 7.2 does not complete another post-copy after one that has failed: a thread of the first one stays.
  if (!qmp.atLeast(9, 0) && (await queryMigrate(qmp)).status === "failed") {
    return [
      `an earlier migration of the source's QEMU ${
        versionOf(qmp)
      } has failed, and before 9.0 QEMU may not come ` +
      "back from a post-copy after that. Leave post-copy out",
    ];
  }
  if (!await needsSinglePass(qmp)) return [];
  return [
    `the source's QEMU ${
      versionOf(qmp)
    } with TCG loses writes of the guest when it sends RAM more than once, ` +
    "as post-copy does. Use KVM, or QEMU 9.0 or newer, or leave post-copy out",
  ];
}

/**
 * Why the destination's QEMU cannot do post-copy, a message each. QEMU finds that out when its capability
 * `postcopy-ram` is set: its host must let it handle page faults (userfaultfd), and RAM that other processes
 * share may not support it. So it is set, and set back at once.
 *
 * @throws {QmpError} when QEMU does not answer.
 */
export async function postcopyProblemsThere(qmp: QmpClient): Promise<string[]> {
  const capabilities = await qmp.execute("query-migrate-capabilities", {});
  const known = capabilities.find(({ capability }) => capability === CAPABILITY);
  if (!known) return [`the destination's QEMU ${versionOf(qmp)} has no post-copy`];
  if (known.state) return [];
  const set = (state: boolean) =>
    qmp.execute("migrate-set-capabilities", { capabilities: [{ capability: CAPABILITY, state }] });
  try {
    await set(true);
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    return [
      `the destination's QEMU ${
        versionOf(qmp)
      } cannot do post-copy: ${error.message}. It needs userfaultfd: run ` +
      "QEMU as root, or let it by 'sysctl vm.unprivileged_userfaultfd=1'",
    ];
  }
  await set(false);
  return [];
}
