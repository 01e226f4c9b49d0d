import { type QmpClient, queryMultifd } from "../../qmp/mod.ts";
import type { Side } from "../events.ts";
import { dirtyLimitProblems } from "../guest/dirty_limit.ts";
import { versionOf } from "../guest/run_states.ts";
import { multifdProblems } from "../multifd.ts";
import { postcopyProblemsHere, postcopyProblemsThere } from "../postcopy/mod.ts";
import type { RamChoices } from "../ram_choices.ts";

/**
 * Why this QEMU cannot have RAM cross as the user asks, a message each. Some capabilities are switched on for a
 * moment: only then does QEMU say what it lacks.
 *
 * @param side on which the QEMU is.
 * @throws {QmpError} when QEMU does not answer.
 */
export async function ramProblems(
  qmp: QmpClient,
  side: Side,
  choices: RamChoices = {},
): Promise<string[]> {
  const { multifd, postcopy, dirtyLimitMib } = choices;
  const isSource = side === "source";
  const problems: string[] = [];
  if (multifd) {
    const features = await queryMultifd(qmp, multifd.compression);
    problems.push(...multifdProblems(side, versionOf(qmp), features, multifd));
  }
  if (postcopy) {
    problems.push(...await (isSource ? postcopyProblemsHere : postcopyProblemsThere)(qmp));
  }
  if (dirtyLimitMib !== undefined && isSource) problems.push(...await dirtyLimitProblems(qmp));
  return problems;
}
