import { LinuxHome } from "../pair/linux_guest.ts";
import { crossLinux } from "../pair/linux_crossing.ts";
import { assertNone, type Scenario, type ScenarioContext } from "../support/scenario.ts";

/** What each load must have done before, between and after the crossings. */
const ROUNDS = { "ram.laps": 2, "fio.rounds": 1, "postgres.rounds": 1 };
const PATIENCE_MS = 300_000;
/** How far the guest's clock may be from where it was, beyond the time that it stood still, ms. */
const CLOCK_MS = 3_000;

/** A guest as people have it. */
export const scenario: Scenario = {
  name: "linux",
  about:
    "a Debian guest with PostgreSQL, fio and busy RAM crosses and comes back, with nothing lost",
  long: true,
  timeoutMs: 1_800_000,
  async run(context) {
    let home = await LinuxHome.start(context, 0);
    await home.booted(PATIENCE_MS);
    context.note("the guest has booted");
    await home.installLoads();
    // What a slow boot has made the kernel complain of is no fault of a migration.
    await home.print("dmesg --clear");
    await home.print(
      "for load in ram clock fio postgres; do setsid $load-loop </dev/null >/dev/null 2>&1 & done",
    );
    await home.waitGrowth(ROUNDS, PATIENCE_MS);
    const figures: string[] = [];
    for (const n of [1, 2]) {
      const next = await LinuxHome.start(context, n);
      figures.push(`${n === 1 ? "there" : "back"}: ${await cross(context, home, next)}`);
      home = next;
    }
    const gaps = await home.print("cat /run/clock.gap");
    context.note("the last look");
    assertNone(lines(await home.print("look end", PATIENCE_MS)));
    await home.qemu.quit();
    for (const { path } of home.images) await checkFileSystem(path);
    return `${figures.join("; ")}; longest step of the clocks: ${gaps.replaceAll("\n", " s, ")} s`;
  },
};

/** Moves the guest, looks at it at its new home, and ends the old one. */
async function cross(context: ScenarioContext, from: LinuxHome, to: LinuxHome): Promise<string> {
  const before = await from.clockAheadMs();
  const { bytes, totalMs, downtimeMs, pauseMs } = await crossLinux(context, from, to, PATIENCE_MS);

  await to.waitGrowth(ROUNDS, PATIENCE_MS);
  const faults = lines(await to.print("look", PATIENCE_MS));
  const behind = before - await to.clockAheadMs();
  if (Math.abs(behind) > pauseMs + CLOCK_MS) {
    faults.push(`the guest's clock is ${behind} ms behind where it was`);
  }
  assertNone(faults);
  return `${Math.round(bytes / 2 ** 20)} MiB in ${(totalMs / 1000).toFixed(1)} s, ` +
    `downtime ${downtimeMs} ms, paused ${Math.round(pauseMs)} ms, clock ` +
    `${Math.round(behind)} ms behind`;
}

/** A file system that was unmounted, or mounted read-only, has nothing to mend. */
async function checkFileSystem(path: string): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command("e2fsck", { args: ["-fn", path] })
    .output();
  if (code === 0) return;
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
  throw new Error(`e2fsck -fn ${path} ended with ${code}: ${said}`);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
