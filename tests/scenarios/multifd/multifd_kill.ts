import { multifdBytes, settingsBefore } from "../pair/multifd.ts";
import { Pair } from "../pair/pair.ts";
import { BUSY, whileInRam } from "../support/failing.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const MULTIFD = ["--multifd", "4"];

/** A tool that is killed while RAM crosses in several streams. */
export const scenario: Scenario = {
  name: "multifd_kill",
  about:
    "after kill -9 of either vmferry while RAM crosses in five streams the guest runs at the " +
    "source with its old settings, and the next try arrives",
  timeoutMs: 400_000,
  long: true,
  async run(context) {
    for (const killed of ["source", "destination"] as const) {
      context.note(`killed: ${killed}`);
      const dir = `${context.dir}/${killed}`;
      await Deno.mkdir(dir);
      const pair = await Pair.start(context, { dir, gated: true, guest: BUSY, bytes: 16 << 20 });
      const asBefore = await settingsBefore(pair);
      const { receive, migrate } = await whileInRam(pair, "4M", MULTIFD);
      const victim = killed === "source" ? migrate : receive;
      victim.signal("SIGKILL");
      await victim.exit();
      // The other side undoes by itself.
      await assertExit(killed === "source" ? receive : migrate, 1, 100_000);
      if (killed === "source") {
        const address = await receive.address();
        await assertExit(pair.migrate(address, ["--resume", ...MULTIFD]), 1);
      } else {
        await assertExit(pair.recover("dest", ["--yes"]), 0);
      }
      const gone = await pair.destination.gone();
      if (!gone) await asBefore();
      await pair.assertStillAtSource({ destinationGone: gone });

      context.note("the next try");
      await pair.renewDestination();
      const again = pair.receive();
      const next = pair.migrate(await again.address(), MULTIFD);
      await assertExit(next, 0);
      await assertExit(again, 0);
      await multifdBytes(pair.source);
      await asBefore();
      await pair.assertArrived();
    }
  },
};
