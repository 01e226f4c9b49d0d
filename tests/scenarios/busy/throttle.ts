import type { Qemu } from "../support/qemu.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { runVmferry } from "../support/vmferry.ts";
import { busy, BusyPair, largestThrottle } from "./lab/busy_pair.ts";

/** What the guest changes, MiB per second, and of how much RAM. */
const GUEST = { mibPerSecond: 120, mib: 48 } as const;
/** So little that the guest is too busy by far. */
const BANDWIDTH = ["--bandwidth", "30M", "--max-downtime", "100"];

/** A throttle that the user asks for, and the settings of both QEMUs afterwards. */
export const scenario: Scenario = {
  name: "throttle",
  about: "a guest is throttled from the start, or when the user says so, and no setting is left",
  timeoutMs: 600_000,
  long: true,
  async run(context) {
    context.note("from the start, with the user's own steps");
    const start = await started(context, "start");
    const given = ["--auto-converge", "--throttle-initial", "60", "--throttle-increment", "30"];
    const first = await start.pair.migrate(...BANDWIDTH, ...given, "--throttle-max", "90");
    await start.pair.arrived(first, 120_000);
    const seen = throttles(first.migrate.events.entries);
    if (!seen.includes(60) || seen.some((percent) => ![60, 90].includes(percent))) {
      throw new Error(`Got throttles of ${seen.join(", ")} %, expected 60, then perhaps 90`);
    }
    await start.assertSettings();
    await start.pair.assertWhole();
    await start.pair.end();

    context.note("while RAM crosses, and no longer; then the migration is cancelled");
    const set = await started(context, "set");
    const second = await set.pair.migrate(...BANDWIDTH, "--throttle-max", "1");
    await second.migrate.waitEvent("progress", isInPass(2), 120_000);
    // The ladder has nothing that it may do.
    await second.migrate.waitEvent("warning", (e) => e.code === "ram-not-converging", 120_000);
    await say(set.pair, ["auto-converge=off"], 0, /not throttled/);
    second.migrate.signal("SIGINT");
    await assertExit(second.migrate, 5);
    await second.receive.exit();
    await set.assertSettings("source");
    await set.pair.end();

    context.note("switched on while RAM crosses: the guest arrives");
    const on = await started(context, "on");
    const third = await on.pair.migrate(...BANDWIDTH);
    await third.migrate.waitEvent("progress", isInPass(1), 120_000);
    await say(on.pair, ["auto-converge=on"], 0, /throttled if/);
    const step = await third.migrate.waitEvent("ladder");
    await on.pair.arrived(third, 120_000);
    await on.assertSettings();
    await on.pair.end();

    context.note("forbidden: it cannot be switched on any more");
    const never = await started(context, "never");
    const fourth = await never.pair.migrate(...BANDWIDTH, "--no-auto-converge");
    await fourth.migrate.waitEvent("progress", isInPass(2), 120_000);
    await say(never.pair, ["auto-converge=on"], 3, /only before RAM begins to cross/);
    await say(never.pair, ["postcopy=now"], 3, /--allow-postcopy/);

    context.note("killed: recover restores the settings");
    fourth.migrate.signal("SIGKILL");
    await fourth.migrate.exit();
    const recover = context.vmferry({
      name: "recover",
      args: [
        ...["recover", "--json", "--yes", "--run-dir", never.pair.runDir],
        ...["--qmp", never.pair.source.qmpSocket],
      ],
    });
    await assertExit(recover, 0);
    await never.assertSettings("source");
    await never.pair.end();
    return `throttles ${seen.join(", ")} %; ${step.message}`;
  },
};

type Started = Awaited<ReturnType<typeof started>>;

/** A pair with a busy guest; somebody has left settings of the throttle in the source's QEMU. */
async function started(context: ScenarioContext, name: string) {
  const pair = await BusyPair.start(context, { name, sector: busy(GUEST), memoryMiB: 96 });
  await pair.running(2);
  await pair.source.execute("migrate-set-parameters", { "cpu-throttle-initial": 33 });
  const before = { source: await settings(pair.source), dest: await settings(pair.destination) };
  return {
    pair,
    async assertSettings(only?: "source"): Promise<void> {
      for (const side of only ? [only] : ["source", "dest"] as const) {
        const now = await settings(side === "source" ? pair.source : pair.destination);
        if (now === before[side]) continue;
        throw new Error(`${side}: the settings were\n${before[side]}\nand are\n${now}`);
      }
    },
  };
}

async function settings(qemu: Qemu): Promise<string> {
  const [capabilities, parameters] = [
    await qemu.execute("query-migrate-capabilities"),
    await qemu.execute("query-migrate-parameters"),
  ];
  return JSON.stringify([capabilities, parameters]);
}

async function say(pair: BusyPair, words: string[], code: number, text: RegExp): Promise<void> {
  const said = await runVmferry(["set", "--run-dir", pair.runDir, ...words], 60_000);
  const all = said.stdout + said.stderr;
  if (said.code === code && text.test(all)) return;
  throw new Error(`set ${words.join(" ")}: got ${said.code}, expected ${code}: ${all}`);
}

function isInPass(pass: number) {
  return (event: { readonly [member: string]: unknown }) =>
    ((event.ram as { iteration: number } | null)?.iteration ?? 0) >= pass;
}

/** The throttles beyond the first percent, each once, in the order in which they were seen. */
function throttles(events: Parameters<typeof largestThrottle>[0]): number[] {
  const all = events.map((event) => largestThrottle([event])).filter((percent) => percent > 1);
  return [...new Set(all)];
}
