import { delay, systemClock } from "../../../src/io/mod.ts";
import { CountingRelay } from "./lab/counting_relay.ts";
import {
  assertExit,
  assertNone,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

const MiB = 1 << 20;
/** Of all copies together, MiB/s. */
const LIMIT = 24;
/** How long rates are measured, ms. */
const WINDOW_MS = 4000;
/** How long after a change the shares have to be right, ms. */
const SETTLE_MS = 2000;

/** A copy, and what it sends. */
interface Copy {
  readonly ferry: Vmferry;
  readonly relay: CountingRelay;
}

/** One limit for three copies. */
export const scenario: Scenario = {
  name: "host_bandwidth",
  about: "--host-bandwidth is divided equally, and the share of one that ends goes to the others",
  timeoutMs: 240_000,
  // A busy machine is slower than the limit.
  long: true,
  async run(context) {
    const copies = await Promise.all(["one", "two", "three"].map((name) => begin(context, name)));
    const [first, ...rest] = copies as [Copy, Copy, Copy];
    for (const { ferry } of copies) await ferry.waitEvent("phase", (e) => e.phase === "copy");
    const rates = await ratesOf(copies);
    const sum = rates.reduce((a, b) => a + b, 0);
    const faults: string[] = [];
    if (Math.abs(sum / LIMIT - 1) > 0.05) faults.push(`together ${sum} MiB/s of ${LIMIT}`);
    if (Math.max(...rates) / Math.min(...rates) > 1.1) faults.push(`unequal: ${rates}`);

    context.note("one ends");
    first.ferry.signal("SIGINT");
    await first.ferry.waitEvent("copy");
    const faster = await ratesOf(rest);
    for (const rate of faster) {
      if (Math.abs(rate / (LIMIT / 2) - 1) > 0.1) faults.push(`then ${rate}, not ${LIMIT / 2}`);
    }
    assertNone(faults);
    for (const { ferry } of rest) ferry.signal("SIGINT");
    for (const { ferry } of copies) await assertExit(ferry, 5);
    const text = (all: readonly number[]) => all.map((rate) => rate.toFixed(2)).join(" + ");
    return `${text(rates)} of ${LIMIT} MiB/s, then ${text(faster)}`;
  },
};

/** Starts to copy an image of random data. */
async function begin(context: ScenarioContext, name: string): Promise<Copy> {
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
  const relay = context.use(new CountingRelay(`${dir}/relay.sock`, `${dir}/copy.sock`));
  const ferry = context.vmferry({
    name: `copy ${name}`,
    args: [
      ...["copy", ...at, "--host-bandwidth", `${LIMIT}M`, "--lock-dir", `${context.dir}/locks`],
      ...["--verbose", "--compress", "off", "--format", "raw", "--map", `${dir}=${dir}/there`],
      ...[`${dir}/disk.raw`, `unix://${dir}/relay.sock`],
    ],
  });
  return { ferry, relay };
}

/** MiB/s of each, measured once the shares have to be right. */
async function ratesOf(copies: readonly Copy[]): Promise<number[]> {
  await delay(systemClock, SETTLE_MS);
  const start = performance.now();
  const before = copies.map(({ relay }) => relay.bytes);
  await delay(systemClock, WINDOW_MS);
  const seconds = (performance.now() - start) / 1000;
  return copies.map(({ relay }, i) => (relay.bytes - before[i]!) / MiB / seconds);
}
