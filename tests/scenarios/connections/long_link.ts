import { startLine } from "../../../tools/bench/line/line.ts";
import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const RTT_MS = 80;
const MBIT = 1000;
/** Time between two writes of the guest, us: short enough that one is always in flight. */
const WAIT_US = 2_000;

/** A guest that writes again before its last write is confirmed, over a long round trip. */
export const scenario: Scenario = {
  name: "long_link",
  about: "vmferry reports and resolves a mirror that a long round trip keeps from becoming ready",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, {
      ...{ bytes: 16 * MiB, disks: [{ from: "raw", to: "raw" }] },
      guest: { waitUs: WAIT_US },
    });
    const line = context.use(await startLine(RTT_MS, MBIT));
    const receive = pair.receiveWith([
      ...["--listen", `tcp://127.0.0.1:${line.far}`, "--secret-file", pair.secretFile],
    ]);
    await receive.address();
    const commands = await pair.source.execute<{ name: string }[]>("query-commands");
    const canBlock = commands.some((c) => c.name === "block-job-change");
    const migrate = pair.migrate(`tcp://127.0.0.1:${line.near}`);
    const code = canBlock ? "mirror-write-blocking" : "guest-held";
    const { message } = await migrate.waitEvent("warning", (e) => e.code === code, 20_000);
    if (!/does not become ready/.test(String(message))) {
      throw new Error(`Got the warning: ${message}`);
    }
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    await pair.assertArrived();
    const seen = pair.source.events.entries.map(({ event }) => event).filter((e) =>
      /^(STOP|RESUME)$/.test(e)
    );
    const expected = canBlock ? ["STOP"] : ["STOP", "RESUME", "STOP"];
    if (`${seen}` !== `${expected}`) throw new Error(`The guest saw ${seen}, not ${expected}`);
    return String(message);
  },
};
