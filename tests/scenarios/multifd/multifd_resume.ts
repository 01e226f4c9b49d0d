import { multifdBytes, settingsBefore } from "../pair/multifd.ts";
import { Pair } from "../pair/pair.ts";
import { whileMirroring } from "../support/failing.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** The journals of both sides keep what both ends have agreed on. */
export const scenario: Scenario = {
  name: "multifd_resume",
  about:
    "after kill -9 of either vmferry during the copy, RAM crosses in as many streams as agreed",
  timeoutMs: 400_000,
  long: true,
  async run(context) {
    for (const killed of ["source", "destination"] as const) {
      context.note(`killed: ${killed}`);
      const dir = `${context.dir}/${killed}`;
      await Deno.mkdir(dir);
      const pair = await Pair.start(context, { dir, bytes: 24 << 20 });
      const asBefore = await settingsBefore(pair);
      const begun = await whileMirroring(pair, ["--multifd", "3"]);
      let { receive, migrate } = begun;
      const address = await receive.address();
      const victim = killed === "source" ? migrate : receive;
      victim.signal("SIGKILL");
      await victim.exit();
      // The journal has the number: the option need not be given again.
      if (killed === "source") migrate = pair.migrate(address, ["--resume"]);
      else receive = pair.receive(["--resume"]);
      await assertExit(migrate, 0);
      await assertExit(receive, 0);
      await multifdBytes(pair.source);
      await asBefore();
      await pair.assertArrived();
    }
  },
};
