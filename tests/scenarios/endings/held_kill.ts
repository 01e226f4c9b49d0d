import { startLine } from "../../../tools/bench/line/line.ts";
import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** A vmferry that is killed during a brief pause of the guest. */
export const scenario: Scenario = {
  name: "held_kill",
  about:
    "a guest whose vmferry is killed during a brief pause runs again after recover or --resume",
  timeoutMs: 120_000,
  slow: true,
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
    const killed = async () => {
      const receive = pair.receiveWith([
        ...["--listen", `tcp://127.0.0.1:${line.far}`, "--secret-file", pair.secretFile],
        ...["--grace", "5"],
      ]);
      await receive.address();
      const letGo = pair.gates.source.hold("cont");
      const migrate = pair.migrate(address, ["--grace", "5"]);
      await letGo.arrived;
      migrate.signal("SIGKILL");
      await migrate.exit();
      const before = await pair.source.status();
      if (before !== "paused") throw new Error(`The guest is ${before} after the kill`);
      return receive;
    };
    const address = `tcp://127.0.0.1:${line.near}`;

    context.note("killed, and recovered");
    const first = await killed();
    await assertExit(pair.recover("source", ["--yes"]), 0, 30_000);
    await assertExit(first, 1, 40_000);
    await pair.assertStillAtSource();

    context.note("killed, and resumed");
    const second = await killed();
    const events = pair.source.events.entries;
    const stopped = events.length;
    const resumed = pair.migrate(address, ["--resume", "--grace", "5"]);
    const letGo = await pair.source.events.waitFor(
      "the guest to be let go",
      (e) => e.event === "RESUME" && events.indexOf(e) >= stopped,
    );
    await assertExit(resumed, 0);
    const ram = await resumed.waitEvent("phase", (e) => e.phase === "ram");
    if (letGo.timestampMs > Date.parse(ram.time)) {
      throw new Error("The guest stood until its memory crossed");
    }
    await assertExit(second, 0, 30_000);
    await pair.assertArrived();
    return "held, let go by recover, and by --resume";
  },
};
