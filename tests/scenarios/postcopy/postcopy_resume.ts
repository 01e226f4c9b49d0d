import { FOLLOWING, startFollowing, untilFollows } from "../pair/postcopy.ts";
import type { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

const KILLED = ["source", "destination", "both"] as const;

/** vmferry is killed while the rest of RAM crosses, on either side and on both. */
export const scenario: Scenario = {
  name: "postcopy_resume",
  about: "after kill -9 of either vmferry in post-copy, --resume brings the rest of RAM over",
  timeoutMs: 300_000,
  ramInPasses: true,
  async run(context) {
    for (const killed of KILLED) await killAndResume(context, killed);
  },
};

async function killAndResume(
  context: ScenarioContext,
  killed: typeof KILLED[number],
): Promise<void> {
  context.note(`killed: ${killed}`);
  const pair = await startFollowing(context, { name: killed });
  let receive = pair.receive();
  const address = await receive.address();
  let migrate = pair.migrate(address, FOLLOWING);
  await untilFollows(migrate);
  if (killed !== "destination") await kill(migrate);
  if (killed !== "source") await kill(receive);
  if (killed !== "source") {
    receive = pair.receive(["--resume"]);
    await receive.address();
  }
  if (killed !== "destination") {
    await assertRuns(pair);
    migrate = pair.migrate(address, ["--resume", ...FOLLOWING]);
  }
  await assertExit(migrate, 0);
  await assertExit(receive, 0, 20_000);
  await pair.assertArrived();
}

/** The guest needs both QEMUs; neither of them may have ended, nor run it twice. */
async function assertRuns({ source, destination }: Pair): Promise<void> {
  const states = [await source.status(), await destination.status()].join(", ");
  if (states !== "finish-migrate, running") throw new Error(`The QEMUs are ${states}`);
}

async function kill(ferry: Vmferry): Promise<void> {
  ferry.signal("SIGKILL");
  await ferry.exit();
}
