import { Pair } from "../pair/pair.ts";
import { assertRefused, type Scenario } from "../support/scenario.ts";

/** A QEMU that already runs a guest cannot be a destination. */
export const scenario: Scenario = {
  name: "not_incoming",
  about:
    "a destination that does not wait for a migration refuses (exit 3) and says how to start it",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 16 << 20, incoming: false, guest: SMALL });
    const receive = pair.receive();
    await assertRefused(receive, /state "running", expected "inmigrate"\. Start it with -incoming/);
    const check = context.vmferry({
      name: "check",
      args: ["check", "--json", "--qmp", pair.source.qmpSocket],
    });
    if (await check.exit() !== 0) throw new Error("The source alone is fit");
    await pair.source.waitCounter(await pair.source.counter() + 50);

    context.note("a QEMU that waits on its own socket");
    const dir = `${context.dir}/own`;
    await Deno.mkdir(dir);
    const own = await Pair.start(context, {
      ...{ dir, bytes: 16 << 20, incoming: false, guest: SMALL },
      destinationExtra: ["-incoming", `unix:${dir}/incoming.sock`],
    });
    await assertRefused(own.receive(), /its own socket.*-incoming defer/);
  },
};

const SMALL = { ring: { start: 2048, length: 4096, runId: 5n } };
