import { MiB } from "../pair/pair_options.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, assertNone, type Scenario } from "../support/scenario.ts";
import type { JsonEvent, Vmferry } from "../support/vmferry.ts";

/** Of all migrations together, MiB/s. */
const LIMIT = 18;
/** How long rates are measured, ms. */
const WINDOW_MS = 4000;

/** One limit for three migrations. */
export const scenario: Scenario = {
  name: "host_bandwidth",
  about: "--host-bandwidth is divided equally, and the share of one that ends goes to the others",
  timeoutMs: 240_000,
  async run(context) {
    const ferries: Vmferry[] = [];
    const options = ["--host-bandwidth", `${LIMIT}M`, "--lock-dir", `${context.dir}/locks`];
    const pairs = await Promise.all(["one", "two", "three"].map(async (name) => {
      const dir = `${context.dir}/${name}`;
      await Deno.mkdir(dir);
      return await Pair.start(context, { dir });
    }));
    for (const pair of pairs) {
      const receive = pair.receive();
      ferries.push(pair.migrate(await receive.address(), [...options, "--compress", "off"]));
    }
    const [first, ...rest] = ferries as [Vmferry, Vmferry, Vmferry];
    for (const ferry of ferries) await ferry.waitEvent("progress", (e) => sent(e) > 0);
    const settled = Date.now() + 2000;
    const after = (ferry: Vmferry, time: number) =>
      ferry.waitEvent("progress", (e) => Date.parse(e.time) >= time);
    const rates = await Promise.all(ferries.map(async (ferry) => {
      return rateOf(await after(ferry, settled), await after(ferry, settled + WINDOW_MS));
    }));
    const sum = rates.reduce((a, b) => a + b, 0);
    const faults: string[] = [];
    if (Math.abs(sum / LIMIT - 1) > 0.05) faults.push(`together ${sum} MiB/s of ${LIMIT}`);
    if (Math.max(...rates) / Math.min(...rates) > 1.1) faults.push(`unequal: ${rates}`);

    context.note("one ends");
    first.signal("SIGINT");
    await assertExit(first, 5);
    const ended = Date.parse((await first.waitEvent("result")).time);
    const faster = await Promise.all(rest.map(async (ferry) => {
      return rateOf(await after(ferry, ended + 2000), await after(ferry, ended + 4000));
    }));
    for (const rate of faster) {
      if (Math.abs(rate / (LIMIT / 2) - 1) > 0.1) faults.push(`then ${rate}, not ${LIMIT / 2}`);
    }
    assertNone(faults);
    for (const ferry of rest) ferry.signal("SIGINT");
    for (const ferry of rest) await assertExit(ferry, 5);
    for (const pair of pairs) await pair.assertStillAtSource();
    const text = (all: readonly number[]) => all.map((rate) => rate.toFixed(2)).join(" + ");
    return `${text(rates)} of ${LIMIT} MiB/s, then ${text(faster)}`;
  },
};

function sent(event: JsonEvent): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}

/** MiB/s between two events. */
function rateOf(from: JsonEvent, to: JsonEvent): number {
  const seconds = (Date.parse(to.time) - Date.parse(from.time)) / 1000;
  return (sent(to) - sent(from)) / MiB / seconds;
}
