import {
  assertExit,
  assertNone,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import type { JsonEvent, Vmferry } from "../support/vmferry.ts";

const MiB = 1 << 20;
/** Of all copies together, MiB/s. */
const LIMIT = 24;
/** How long rates are measured, ms. */
const WINDOW_MS = 4000;

/** One limit for three copies. */
export const scenario: Scenario = {
  name: "host_bandwidth",
  about: "--host-bandwidth is divided equally, and the share of one that ends goes to the others",
  timeoutMs: 240_000,
  // A busy machine is slower than the limit.
  long: true,
  async run(context) {
    const ferries = await Promise.all(["one", "two", "three"].map((name) => begin(context, name)));
    const [first, ...rest] = ferries as [Vmferry, Vmferry, Vmferry];
    for (const ferry of ferries) await ferry.waitEvent("progress", (e) => sent(e) > 0);
    const settled = Date.now() + 2000;
    const rates = await Promise.all(
      ferries.map((ferry) => rateOf(ferry, settled, settled + WINDOW_MS)),
    );
    const sum = rates.reduce((a, b) => a + b, 0);
    const faults: string[] = [];
    if (Math.abs(sum / LIMIT - 1) > 0.05) faults.push(`together ${sum} MiB/s of ${LIMIT}`);
    if (Math.max(...rates) / Math.min(...rates) > 1.1) faults.push(`unequal: ${rates}`);

    context.note("one ends");
    first.signal("SIGINT");
    await assertExit(first, 5);
    const ended = Date.parse((await first.waitEvent("copy")).time);
    const faster = await Promise.all(
      rest.map((ferry) => rateOf(ferry, ended + 2000, ended + WINDOW_MS)),
    );
    for (const rate of faster) {
      if (Math.abs(rate / (LIMIT / 2) - 1) > 0.1) faults.push(`then ${rate}, not ${LIMIT / 2}`);
    }
    assertNone(faults);
    for (const ferry of rest) ferry.signal("SIGINT");
    for (const ferry of rest) await assertExit(ferry, 5);
    const text = (all: readonly number[]) => all.map((rate) => rate.toFixed(2)).join(" + ");
    return `${text(rates)} of ${LIMIT} MiB/s, then ${text(faster)}`;
  },
};

/** Starts to copy an image of random data. */
async function begin(context: ScenarioContext, name: string): Promise<Vmferry> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(`${dir}/there`, { recursive: true });
  using file = await Deno.open(`${dir}/disk.raw`, { write: true, createNew: true });
  const chunk = new Uint8Array(MiB);
  for (let i = 0; i < MiB; i += 65536) crypto.getRandomValues(chunk.subarray(i, i + 65536));
  for (let i = 0; i < 256; i++) await file.write(chunk);
  const at = ["--json", "--run-dir", `${dir}/runs`];
  const receive = context.vmferry({
    name: `receive ${name}`,
    args: ["receive", "--copy", ...at, "--listen", `unix://${dir}/copy.sock`],
  });
  await receive.address();
  return context.vmferry({
    name: `copy ${name}`,
    args: [
      ...[
        "copy",
        "--verbose",
        ...at,
        "--host-bandwidth",
        `${LIMIT}M`,
        "--lock-dir",
        `${context.dir}/locks`,
      ],
      ...["--compress", "off", "--format", "raw", "--map", `${dir}=${dir}/there`],
      ...[`${dir}/disk.raw`, `unix://${dir}/copy.sock`],
    ],
  });
}

function sent(event: JsonEvent): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}

/** MiB/s between the first events after two times, ms since 1970. */
async function rateOf(ferry: Vmferry, begin: number, end: number): Promise<number> {
  const after = (time: number) => ferry.waitEvent("progress", (e) => Date.parse(e.time) >= time);
  const [from, to] = [await after(begin), await after(end)];
  const seconds = (Date.parse(to.time) - Date.parse(from.time)) / 1000;
  return (sent(to) - sent(from)) / MiB / seconds;
}
