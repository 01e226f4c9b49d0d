import { startLine } from "../../tools/bench/line.ts";
import { Pair } from "./support/pair.ts";
import { MiB } from "./support/pair_options.ts";
import { assertExit, type Scenario } from "./support/scenario.ts";

/** A tool that is killed in the moment for which it holds the guest. */
export const scenario: Scenario = {
  name: "held_kill",
  about: "a guest that was held for a moment runs again when its tool was killed just then",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, {
      ...{ bytes: 16 * MiB, disks: [{ from: "raw", to: "raw" }], gated: true },
      guest: { waitUs: 2_000 },
    });
    const commands = await pair.source.execute<{ name: string }[]>("query-commands");
    if (commands.some((c) => c.name === "block-job-change")) {
      return "nothing to see: this QEMU makes the guest's writes wait, it is never held";
    }
    const line = context.use(await startLine(80, 1000));
    const receive = pair.receiveWith([
      ...["--listen", `tcp://127.0.0.1:${line.far}`, "--secret-file", pair.secretFile],
      ...["--grace", "3"],
    ]);
    await receive.address();
    const letGo = pair.gates.source.hold("cont");
    const migrate = pair.migrate(`tcp://127.0.0.1:${line.near}`, ["--grace", "3"]);
    await letGo.arrived;
    migrate.signal("SIGKILL");
    await migrate.exit();
    await assertExit(receive, 1, 30_000);
    const before = await pair.source.status();
    if (before !== "paused") throw new Error(`The guest is ${before} after the kill`);
    await assertExit(pair.recover("source", ["--yes"]), 0, 30_000);
    await pair.assertStillAtSource();
    return "held, and let go by recover";
  },
};
