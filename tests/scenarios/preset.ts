import { Pair } from "./support/pair.ts";
import type { Qemu } from "./support/qemu.ts";
import { assertExit, type Scenario } from "./support/scenario.ts";

/** Migration capabilities that somebody has left, with which the memory is not one stream of all of it. */
const LEFT = ["multifd", "x-ignore-shared", "xbzrle"];

export const scenario: Scenario = {
  name: "preset",
  about:
    "migration capabilities that somebody has set before are no hindrance, and are there again",
  timeoutMs: 90_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 16 << 20 });
    const ends = [pair.source, pair.destination];
    await Promise.all(ends.map((qemu) => switchAll(qemu, true)));
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    for (const qemu of ends) {
      const now = await qemu.execute<Capability[]>("query-migrate-capabilities");
      const off = now.filter((c) => LEFT.includes(c.capability) && !c.state);
      if (off.length > 0) throw new Error(`Not put back: ${JSON.stringify(off)}`);
      await switchAll(qemu, false);
    }
    await pair.assertArrived();
  },
};

interface Capability {
  readonly capability: string;
  readonly state: boolean;
}

async function switchAll(qemu: Qemu, state: boolean): Promise<void> {
  const capabilities = LEFT.map((capability) => ({ capability, state }));
  await qemu.execute("migrate-set-capabilities", { capabilities });
}
