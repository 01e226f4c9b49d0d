import { assertExit, type Scenario } from "../support/scenario.ts";
import {
  LibvirtLab,
  pass,
  POSTCOPY_LAB,
  startBusy,
  startPostcopy,
  stateOf,
  Trial,
} from "./lab/mod.ts";

/** How long the cable is pulled, s. */
const CUT = 4;

/** RAM in post-copy. */
export const scenario: Scenario = {
  name: "postcopy",
  about: "a domain moves in post-copy, also through a cut of the cable",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LibvirtLab.start(context, POSTCOPY_LAB);
    const domain = await startBusy(lab);
    const trial = await Trial.begin(context, lab, domain, ["--grace", "60", "--dead-after", "1"]);
    const ends = await startPostcopy(trial, lab, true);
    const there = await stateOf(lab.source);
    if (there !== "paused (post-copy)") throw new Error(`The source's domain is ${there}`);
    await lab.network.cut();
    await pass(CUT * 1000);
    if (await stateOf(lab.destination) !== "running (post-copy)") {
      throw new Error("Post-copy was over before the cable was restored");
    }
    await lab.network.restore();
    await lab.limitRate(null);
    await assertExit(ends.domain, 0);
    await assertExit(ends.receive, 0, 20_000);
    await domain.assertRamWhole(lab.destination);
    await trial.assertArrived();
  },
};
