import { MiB } from "../pair/pair_options.ts";
import { Pair } from "../pair/pair.ts";
import {
  assertExit,
  assertNone,
  assertRefused,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import { runVmferry, type Vmferry } from "../support/vmferry.ts";

/** Two migrations of one host, of which one may run. */
export const scenario: Scenario = {
  name: "max_parallel",
  about: "with --max-parallel 1 the second migration touches nothing until the first has ended",
  timeoutMs: 240_000,
  slow: true,
  async run(context) {
    const [one, two] = await Promise.all([started(context, "one"), started(context, "two")]);
    const lockDir = `${context.dir}/locks`;
    const alone = ["--max-parallel", "1", "--lock-dir", lockDir];
    const receive = one.receive();
    const first = one.migrate(await receive.address(), [...alone, "--bandwidth", "256K"]);
    await first.waitEvent("progress");

    context.note("the second one waits, says for whom, and has reached nobody");
    const patient = two.receive();
    const address = await patient.address();
    const second = two.migrate(address, alone);
    await assertWaits(second, first);
    const at = ["--run-dir", two.runDir("source")];
    const status = await runVmferry(["status", ...at]);
    const shown = /waiting until other migrations of this host have ended/.test(status.stdout);
    // vmferry does not hold the QMP socket meanwhile.
    const check = await runVmferry(["check", "--qmp", two.source.qmpSocket], 60_000);
    assertNone([
      ...(shown ? [] : [`status said "${status.stdout}${status.stderr}"`]),
      ...(check.code === 0 ? [] : [`check ended with ${check.code}: ${check.stderr}`]),
    ]);

    context.note("a wait can be limited, and cancelled");
    await assertRefused(two.migrate(address, [...alone, "--max-wait", "1"]), /^.*no-slot/);
    const cancelled = await runVmferry(["cancel", ...at, "--qmp", two.source.qmpSocket]);
    if (cancelled.code !== 0) throw new Error(`cancel: ${cancelled.stderr}`);
    await assertExit(second, 5);
    if (patient.events.entries.some((e) => e.event !== "listening")) {
      throw new Error("The destination of the migration that waited was touched");
    }

    context.note("the next one begins when the first has ended");
    const third = two.migrate(address, alone);
    await assertWaits(third, first);
    first.signal("SIGINT");
    for (const ferry of [first, receive]) await assertExit(ferry, 5);
    for (const ferry of [third, patient]) await assertExit(ferry, 0);
    const [ended, began] = [await first.waitEvent("result"), await third.waitEvent("phase")];
    if (began.time < ended.time) throw new Error(`It began at ${began.time}, before ${ended.time}`);
    await one.assertStillAtSource();
    await two.assertArrived();
    const left = await Deno.lstat(lockDir).then(() => [`${lockDir} is left`], () => []);
    assertNone(left);
    return `began ${Date.parse(began.time) - Date.parse(ended.time)} ms after the end of the first`;
  },
};

async function started(context: ScenarioContext, name: string): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  return await Pair.start(context, { dir, bytes: 16 * MiB });
}

/** Throws unless `ferry` says that it waits for `running`, and does nothing else. */
async function assertWaits(ferry: Vmferry, running: Vmferry): Promise<void> {
  const waiting = await ferry.waitEvent("waiting");
  const pids = (waiting.running as { pid: number; what: string }[]).map(({ pid }) => pid);
  assertNone([
    ...(pids.join() === `${running.pid}` ? [] : [`waits for ${pids}, expected ${running.pid}`]),
    ...(ferry.events.entries.length === 1 ? [] : [`${ferry.name} did more than to wait`]),
  ]);
}
