import { assertAsBefore, hostState, LabGuest, LaunchLab, migrate } from "../launch/lab/mod.ts";
import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import { allMove } from "../support/vmferry.ts";

/** Several guests move to one host. */
export const scenario: Scenario = {
  name: "launch_two",
  about: "two launches at once both arrive; one of a guest with the same name or image is refused",
  timeoutMs: 480_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const start = (files: string, name = files) => LabGuest.start(lab, { files, name });

    context.note("two guests");
    const guests = [await start("vm1"), await start("vm2")];
    const ferries = guests.map(({ qmp }) => migrate(lab, [], qmp, { qmp }));
    await Promise.all(ferries.map((ferry) => assertExit(ferry, 0, 120_000)));
    for (const guest of guests) await guest.assertRunsOnlyOn(destination);
    for (const guest of guests) await guest.assertArrived();

    context.note("a guest with the same name");
    const [first, second] = [await start("vm3"), await start("vm4", "vm3")];
    await lab.limitRate(2);
    const moving = migrate(lab, [], "first", { qmp: first.qmp });
    await moving.waitEvent("progress", (e) => e.phase === "mirror" && allMove(e));
    await lab.limitRate(0.25);
    const before = await hostState(destination, first.images);
    const refused = async (reason: RegExp, ...args: readonly string[]) => {
      const ferry = migrate(lab, args, `refused ${reason.source}`, { qmp: second.qmp });
      await assertFails(ferry, 3, reason);
      await second.assertRunsOnlyOn(source);
      await assertAsBefore(destination, before, first.images);
    };
    await refused(/the launch of vm3 that is under way .* has the same guest name/);
    context.note("the same image");
    const [theirs] = first.images;
    await refused(
      new RegExp(`qemu-system-x86 .* has ${theirs} open`),
      ...["--map", `${second.images[0]}=${theirs}`],
    );
    await lab.limitRate(null);
    await assertExit(moving, 0, 120_000);
    await first.assertArrived();
    await assertExit(migrate(lab, [], "next", { qmp: second.qmp }), 0);
    await second.assertArrived();
  },
};
