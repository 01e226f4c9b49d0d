import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { LEFT_CAPABILITIES, LEFT_PARAMETERS, type LeftSetting, setting } from "../pair/settings.ts";
import { BUSY, whileInRam, whileMirroring } from "../support/failing.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";

/** Settings without which this test would prove too little, wherever a QEMU has them. */
const MUST = [
  ...["dirty-bitmaps", "switchover-ack", "block-bitmap-mapping", "multifd-channels", "xbzrle"],
  ...["auto-converge", "cpu-throttle-initial", "zero-page-detection=none", "mode=cpr-reboot"],
];

type Settings = ReturnType<typeof setting>;

/** A pair with settings left at both ends. */
interface Preset {
  readonly pair: Pair;
  readonly ends: readonly { readonly settings: Settings; readonly left: Set<string> }[];
}

export const scenario: Scenario = {
  name: "preset",
  about:
    "settings that somebody left at both ends do no harm, and are restored after every outcome",
  timeoutMs: 600_000,
  long: true,
  async run(context) {
    const all = [...LEFT_CAPABILITIES, ...LEFT_PARAMETERS];
    const said: string[] = [];
    context.note("crossings, until each setting that a QEMU accepts was left once");
    const done = new Set<string>();
    for (let round = 1;; round++) {
      // Those that were not accepted beside the others come first in the next round.
      const order = all.toSorted((a, b) => Number(done.has(a.name)) - Number(done.has(b.name)));
      const { pair, ends } = await preset(context, `round${round}`, order);
      const fresh = ends.flatMap(({ left }) => [...left]).filter((name) => !done.has(name));
      if (fresh.length === 0) break;
      fresh.forEach((name) => done.add(name));
      const receive = pair.receive();
      const migrate = pair.migrate(await receive.address());
      await assertExit(migrate, 0);
      await assertExit(receive, 0);
      await assertRestored(ends);
      await reset(ends);
      await pair.assertArrived();
      said.push(`round ${round}: ${ends.map(({ left }) => left.size).join(" and ")} settings`);
    }
    const { pair, ends } = await preset(context, "cancel", all);
    const known = await ends[0]!.settings.names();
    const missing = MUST.filter((name) => known.has(name.split("=")[0]!) && !done.has(name));
    if (missing.length > 0) throw new Error(`Not accepted by any QEMU: ${missing.join(", ")}`);

    context.note("cancelled while disks are copied");
    const first = await whileMirroring(pair);
    first.migrate.signal("SIGINT");
    await assertExit(first.migrate, 5);
    await first.receive.exit();
    await assertRestored(ends);

    context.note("cancelled while RAM crosses");
    const second = await whileInRam(pair, "4M");
    second.migrate.signal("SIGINT");
    await assertExit(second.migrate, 5);
    await second.receive.exit();
    await assertRestored(ends.slice(0, 1));
    await reset(ends.slice(0, 1));
    await pair.assertStillAtSource({ destinationGone: true });

    context.note("the destination's tool killed while disks are copied: failed, and recovered");
    const failed = await preset(context, "failed", all);
    const third = await whileMirroring(failed.pair, ["--grace", "2"]);
    third.receive.signal("SIGKILL");
    await assertExit(third.migrate, 1);
    await assertExit(failed.pair.recover("dest", ["--yes"]), 0, 30_000);
    await assertRestored(failed.ends);

    context.note("the source's tool killed while disks are copied, and resumed");
    const fourth = failed.pair.receive();
    const address = await fourth.address();
    const killed = failed.pair.migrate(address, ["--bandwidth", "8M"]);
    await killed.waitEvent("progress", (e) => {
      return e.phase === "mirror" && (e.disks as { transferred: number }[])[0]!.transferred > 0;
    });
    killed.signal("SIGKILL");
    await killed.exit();
    await assertExit(failed.pair.migrate(address, ["--resume"]), 0);
    await assertExit(fourth, 0);
    await assertRestored(failed.ends);
    await reset(failed.ends);
    await failed.pair.assertArrived();

    context.note("the source's tool killed while RAM crosses, and undone by --resume");
    const undone = await preset(context, "undone", all);
    const fifth = await whileInRam(undone.pair, "4M", ["--grace", "5"]);
    fifth.migrate.signal("SIGKILL");
    await fifth.migrate.exit();
    await assertExit(undone.pair.recover("source", ["--yes"]), 0);
    await fifth.receive.exit();
    await assertRestored(undone.ends.slice(0, 1));
    await reset(undone.ends.slice(0, 1));
    await undone.pair.assertStillAtSource({ destinationGone: true });
    return said.join("\n  ");
  },
};

/** A pair of QEMUs in a directory of their own, with all settings that each accepts beside the earlier ones. */
async function preset(
  context: ScenarioContext,
  name: string,
  order: readonly LeftSetting[],
): Promise<Preset> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  const pair = await Pair.start(context, {
    ...{ dir, bytes: 16 * MiB, gated: true, guest: BUSY, disks: [{ from: "raw", to: "raw" }] },
  });
  await pair.source.execute("block-dirty-bitmap-add", { node: "source-vd0", name: "monday" });
  const ends = await Promise.all([pair.source, pair.destination].map(async (qemu) => {
    const settings = setting(qemu);
    const left = await settings.leaveAll(order);
    await settings.remember();
    return { settings, left };
  }));
  return { pair, ends };
}

async function assertRestored(ends: Preset["ends"]): Promise<void> {
  await Promise.all(ends.map(({ settings }) => settings.assertRemembered()));
}

/** For the checks of the outcome, which expect QEMU's own settings. */
async function reset(ends: Preset["ends"]): Promise<void> {
  await Promise.all(ends.map(({ settings }) => settings.reset()));
}
