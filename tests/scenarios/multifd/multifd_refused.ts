import { Pair } from "../pair/pair.ts";
import { assertExit, assertRefused, type Scenario } from "../support/scenario.ts";

/** What cannot be agreed on. */
export const scenario: Scenario = {
  name: "multifd_refused",
  about: "what either QEMU lacks for --multifd is refused by its side before anything changes",
  timeoutMs: 240_000,
  async run(context) {
    const pair = await Pair.start(context, { gated: true, bytes: 8 << 20 });
    const receive = pair.receive();
    const address = await receive.address();
    const zstd = ["--multifd", "4", "--multifd-compression", "zstd"];

    context.note("a destination's QEMU without multifd, then one without zstd");
    pair.gates.destination.hidden = "multifd";
    await assertRefused(pair.migrate(address, zstd), /the destination's QEMU \S+ has no multifd/);
    pair.gates.destination.hidden = "zstd";
    const lacking = /the destination's QEMU \S+ was built without zstd/;
    await assertRefused(pair.migrate(address, zstd), lacking);
    pair.gates.destination.hidden = undefined;

    context.note("the same of the source");
    pair.gates.source.hidden = "multifd";
    await assertRefused(pair.migrate(address, zstd), /the source's QEMU \S+ has no multifd/);
    pair.gates.source.hidden = undefined;

    context.note("a wrong number");
    await assertExit(pair.migrate(address, ["--multifd", "17"]), 2);

    const changed = ["migrate-set-capabilities", "migrate-set-parameters", "nbd-server-start"];
    for (const gate of [pair.gates.source, pair.gates.destination]) {
      const got = gate.commands.filter((command) => changed.includes(command));
      if (got.length > 0) throw new Error(`QEMU was given ${got.join(", ")}`);
    }

    context.note("then what both can do");
    await assertExit(pair.migrate(address, zstd), 0);
    await assertExit(receive, 0);
    await pair.assertArrived();
  },
};
