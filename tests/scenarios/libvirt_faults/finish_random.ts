import type { Scenario, ScenarioContext } from "../support/scenario.ts";
import { beginSmall } from "./finish_lost.ts";
import { LibvirtLab, pass } from "../libvirt/lab/mod.ts";

/** Rounds, each with a domain of its own. */
const ROUNDS = Number(Deno.env.get("ROUNDS") ?? "8");
/** The end of a migration takes less than this from the time at which the rest of RAM crosses fast, ms. */
const END_MS = 600;

/** The session is lost for good at any time near the end. */
export const scenario: Scenario = {
  name: "finish_random",
  about: "a guest runs on exactly one host whenever the session is lost near the end",
  timeoutMs: 60_000 * ROUNDS,
  long: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const ends: string[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const afterMs = Math.round(Math.random() * END_MS);
      context.note(`round ${round}: the cable is cut after ${afterMs} ms`);
      ends.push(`${afterMs} ms: ${await lose(context, lab, `vm${round}`, afterMs)}`);
    }
    return ends.join(", ");
  },
};

async function lose(context: ScenarioContext, lab: LibvirtLab, name: string, afterMs: number) {
  const trial = await beginSmall(context, lab, name);
  const { domain, receive } = await trial.startRam();
  await lab.limitRate(null);
  await pass(afterMs);
  await lab.network.cut();
  // Longer than both ends wait.
  await pass(5000);
  await lab.network.restore();
  const code = await domain.exit();
  await receive.exit(30_000);
  if (code === 0) {
    await trial.settleKept();
    await trial.assertArrived();
    return "moved";
  }
  if (code !== 1) throw new Error(`The source ended with ${code}, expected 0 or 1`);
  await trial.assertAsBefore();
  await trial.assertNextWorks();
  return "stayed";
}
