import { startFollowing } from "../pair/postcopy.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** The ways to ask for post-copy while the migration runs. */
const WAYS = {
  timeout: ["--timeout", "2", "--timeout-action", "postcopy"],
  set: ["--allow-postcopy"],
} as const;

/** Post-copy that is asked for. */
export const scenario: Scenario = {
  name: "postcopy_asked",
  about: "post-copy begins when the time is up, or when 'vmferry set' asks for it",
  timeoutMs: 200_000,
  ramInPasses: true,
  async run(context) {
    for (const [way, options] of Object.entries(WAYS)) {
      context.note(way);
      const pair = await startFollowing(context, { name: way });
      const receive = pair.receive();
      const migrate = pair.migrate(await receive.address(), [...options, "--bandwidth", "10M"]);
      if (way === "set") {
        await migrate.waitEvent("progress", (e) => e.phase === "ram" && e.ram !== null);
        await pair.set("postcopy=now");
      }
      await migrate.waitEvent("ladder", (e) => e.step === "postcopy");
      await migrate.waitEvent("phase", (e) => e.phase === "postcopy");
      await pair.set("bandwidth=40M");
      await assertExit(migrate, 0);
      await assertExit(receive, 0, 20_000);
      await pair.assertArrived();
    }
  },
};
