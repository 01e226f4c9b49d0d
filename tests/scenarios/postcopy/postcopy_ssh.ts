import { FOLLOWING, startFollowing, untilFollows } from "../pair/postcopy.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { Sshd } from "../support/sshd.ts";
import { vmferryPath } from "../support/vmferry.ts";

/** ssh ends while RAM follows its guest. */
export const scenario: Scenario = {
  name: "postcopy_ssh",
  about: "after the end of ssh in post-copy, migrate --resume over ssh brings the rest of RAM over",
  timeoutMs: 180_000,
  ramInPasses: true,
  async run(context) {
    const dir = `${context.dir}/ssh`;
    await Deno.mkdir(dir);
    const sshd = context.use(await Sshd.start(dir));
    const pair = await startFollowing(context);
    const there = [
      ...sshd.options(),
      ...["--remote-command", vmferryPath(), "--remote-qmp", pair.destination.qmpSocket],
      ...["--run-dir", pair.runDir("source"), sshd.url, "--", "--run-dir", pair.runDir("dest")],
    ];
    const lost = pair.migrateWith([...FOLLOWING, ...there]);
    await untilFollows(lost);
    await sshd.cut();
    await assertExit(lost, 4);
    const { error } = await lost.waitEvent("result");
    const { code } = error as { code: string };
    if (code !== "postcopy-paused") throw new Error(`Got ${code}`);
    await assertExit(pair.migrateWith(["--resume", ...FOLLOWING, ...there]), 0);
    await pair.assertArrived();
  },
};
