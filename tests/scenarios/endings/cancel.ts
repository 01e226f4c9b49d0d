import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** After a cancel on either side the guest keeps running at the source, and the next try works. */
export const scenario: Scenario = {
  name: "cancel",
  about:
    "after a cancel on either side the guest keeps running, nothing is left, and the next try works",
  timeoutMs: 180_000,
  async run(context) {
    const pair = await Pair.start(context);
    for (const [who, phase] of [["migrate", "mirror"], ["receive", "mirror"]] as const) {
      context.note(`${who} gets SIGINT in phase ${phase}`);
      const receive = pair.receive();
      const migrate = pair.migrate(await receive.address(), ["--bandwidth", "10M"]);
      const moving = (disks: { transferred: number }[]) => disks.some((d) => d.transferred > 0);
      await migrate.waitEvent("progress", (e) => moving(e.disks as { transferred: number }[]));
      (who === "migrate" ? migrate : receive).signal("SIGINT");
      await assertExit(migrate, who === "migrate" ? 5 : 1, 20_000);
      await assertExit(receive, 5, 20_000);
      const { error, next } = await migrate.waitEvent("result") as unknown as {
        error: { message: string; side: string };
        next: string[];
      };
      const side = who === "migrate" ? "source" : "destination";
      if (error.side !== side || !/SIGINT/.test(error.message)) {
        throw new Error(`Got ${JSON.stringify(error)}, expected SIGINT from the ${side}`);
      }
      // No RAM had crossed: the destination's QEMU can receive again.
      if (next.length > 0) throw new Error(`Got next ${next}, expected nothing to do`);
      await pair.assertStillAtSource();
    }

    context.note("a receive without a source");
    const receive = pair.receive();
    await receive.address();
    receive.signal("SIGTERM");
    await assertExit(receive, 5, 20_000);
    const timed = pair.receive(["--timeout", "0.5"]);
    await assertExit(timed, 1, 20_000);

    context.note("a migration that exceeds its --timeout");
    const patient = pair.receive();
    const late = pair.migrate(await patient.address(), ["--bandwidth", "5M", "--timeout", "12"]);
    await assertExit(late, 1, 20_000);
    await assertExit(patient, 1, 20_000);
    await pair.assertStillAtSource();

    context.note("the next migration succeeds");
    const last = pair.receive();
    const migrate = pair.migrate(await last.address());
    await assertExit(migrate, 0);
    await assertExit(last, 0);
    await pair.assertArrived();
  },
};
