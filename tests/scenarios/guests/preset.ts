import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { LEFT_CAPABILITIES, LEFT_PARAMETERS, setting } from "../pair/settings.ts";

/** All that QEMU accepts together. The scenario `settings` tries each alone. */
const TOGETHER = [
  ...["dirty-bitmaps", "multifd", "release-ram", "return-path", "switchover-ack", "validate-uuid"],
  ...["x-ignore-shared", "avail-switchover-bandwidth"],
];

export const scenario: Scenario = {
  name: "preset",
  about: "migration capabilities that were set before do no harm, and are restored",
  timeoutMs: 90_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 16 << 20 });
    await pair.source.execute("block-dirty-bitmap-add", { node: "source-vd0", name: "monday" });
    const ends = await Promise.all([pair.source, pair.destination].map(async (qemu) => {
      const [capabilities, parameters] = await Promise.all([
        qemu.execute<{ capability: string }[]>("query-migrate-capabilities"),
        qemu.execute<object>("query-migrate-parameters"),
      ]);
      const known = [...capabilities.map((c) => c.capability), ...Object.keys(parameters)];
      const left = [...LEFT_CAPABILITIES, ...LEFT_PARAMETERS]
        .filter(({ name }) => TOGETHER.includes(name) && known.includes(name));
      const settings = setting(qemu);
      const refusal = await settings.leave(left);
      if (refusal) throw new Error(refusal);
      return { left, settings };
    }));
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    for (const { left, settings } of ends) {
      await settings.assertLeft(left);
      await settings.clear(left);
    }
    await pair.assertArrived();
    return ends.map(({ left }) => `${left.length} settings`).join(", ");
  },
};
