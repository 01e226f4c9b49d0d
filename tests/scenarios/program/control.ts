import { assertMatch } from "@std/assert";
import { filesIn } from "../support/host.ts";
import { Pair } from "../pair/pair.ts";
import {
  assertExit,
  assertNone,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import { type JsonEvent, runVmferry, type Said } from "../support/vmferry.ts";

/** A migration that is slow enough to be inspected. */
const SLOW = ["--bandwidth", "2M"];

/** A running migration, among others on the host, is inspected, changed and cancelled. */
export const scenario: Scenario = {
  name: "control",
  about: "status, set and cancel reach the chosen migration, and their answers are true",
  timeoutMs: 180_000,
  slow: true,
  async run(context) {
    const [one, two] = [await started(context, "one"), await started(context, "two")];
    const runs = `${context.dir}/runs`;
    await Deno.mkdir(runs, { mode: 0o700 });
    const at = ["--run-dir", runs];
    const say = (args: string, code: number, words?: RegExp) => said(args, at, code, words);

    context.note("nothing runs");
    await say("status", 3, /No migration runs here/);
    await say("cancel", 3, /No migration runs here/);

    context.note("two migrations, both sides of each on this host");
    const [receive, migrate] = await begin(one, at);
    const [receive2, migrate2] = await begin(two, at);
    for (const ferry of [migrate, migrate2]) {
      await ferry.waitEvent("progress", (e) => transferred(e) > 0);
    }
    const all = statuses(await say("status --json", 0));
    const roles = all.map((s) => s.role).sort().join(" ");
    if (roles !== "destination destination source source") throw new Error(`Got ${roles}`);
    await say("set bandwidth=3M", 2, /4 migrations run here.*--qmp .*guest "source"/s);
    await say("cancel --name nobody", 3, /No such migration runs here; there is:/);
    await say(`set --qmp ${one.destination.qmpSocket} bandwidth=3M`, 3, /limits are the source's/);

    const choice = `--qmp ${one.source.qmpSocket}`;
    const [before] = statuses(await say(`status --json ${choice}`, 0));
    if (before?.phase !== "mirror" || before.bandwidth !== 2 << 20) {
      throw new Error(`Got ${JSON.stringify(before)}`);
    }
    await say(`status ${choice}`, 0, /copying disks.*disk vd0: +\d+ % of.*limit 2.00 MiB\/s/s);
    const mode = (await Deno.stat(`${before.runDir}/control.sock`)).mode! & 0o777;
    if (mode !== 0o600) throw new Error(`The control socket has mode ${mode.toString(8)}`);

    context.note("cancel waits for the end, and the next try works at once");
    await say(`cancel ${choice}`, 0, /Cancelled by 'vmferry cancel'.*guest was not moved/s);
    await assertExit(migrate, 5);
    await assertExit(receive, 5);
    await one.assertStillAtSource();

    context.note("a receive is cancelled, by its guest's name");
    await say("cancel --name dest", 0, /at the destination/);
    await assertExit(receive2, 5);
    await assertExit(migrate2, 1);
    await two.assertStillAtSource();

    context.note("a new bandwidth applies at once while disks are copied");
    const metrics = (role: string) => `${context.dir}/${role}.prom`;
    const [receiveA, migrateA] = await begin(one, at, metrics);
    await migrateA.waitEvent("progress", (e) => transferred(e) > 0);
    const from = transferred(migrateA.events.entries.at(-1)!);
    const changedAt = performance.now();
    await say(`set ${choice} bandwidth=64M max-downtime=1500ms`, 0, /at most 64.0 MiB\/s.*1500 ms/);
    // At 2 MiB/s it would take 24 s.
    await migrateA.waitEvent("progress", (e) => transferred(e) >= from + (48 << 20), 15_000);
    const seconds = (performance.now() - changedAt) / 1000;
    await assertExit(migrateA, 0);
    await assertExit(receiveA, 0);
    const parameters = one.source.ended ? {} : await one.source.execute<Record<string, unknown>>(
      "query-migrate-parameters",
    );
    if (parameters["downtime-limit"] !== 300) throw new Error("downtime-limit was not put back");
    await one.assertArrived();
    for (const role of ["source", "destination"]) {
      const text = await Deno.readTextFile(metrics(role));
      const labels = `guest="${role === "source" ? "source" : "dest"}",uuid="",role="${role}"`;
      const has = (line: RegExp) => assertMatch(text, line);
      has(new RegExp(`^vmferry_migration_succeeded\\{${labels}\\} 1$`, "m"));
      has(/^vmferry_migration_phase\{.*phase="done"\} 1$/m);
      if (role === "source") has(/^vmferry_migration_disk_ready\{.*disk="vd0"\} 1$/m);
    }
    assertNone((await filesIn(runs)).map((file) => `left file ${file}`));
    return `48 MiB in ${seconds.toFixed(1)} s after bandwidth=64M`;
  },
};

async function started(context: ScenarioContext, name: string): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  return await Pair.start(context, { dir });
}

/** @param metrics the path of the metrics file of an end; absent: none is written. */
async function begin(pair: Pair, at: readonly string[], metrics?: (role: string) => string) {
  const more = (role: string) => [...at, ...(metrics ? ["--metrics", metrics(role)] : [])];
  const receive = pair.receive(more("destination"));
  return [receive, pair.migrate(await receive.address(), [...SLOW, ...more("source")])] as const;
}

function transferred(event: JsonEvent): number {
  const disks = (event.disks ?? []) as readonly { readonly transferred: number }[];
  return disks.reduce((sum, d) => sum + d.transferred, 0);
}

interface Status {
  readonly role: string;
  readonly phase: string;
  readonly bandwidth: number;
  readonly runDir: string;
}

function statuses({ stdout }: Said): Status[] {
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

async function said(
  args: string,
  at: readonly string[],
  code: number,
  words: RegExp = /./,
): Promise<Said> {
  const said = await runVmferry([...args.split(" "), ...at]);
  const faults: string[] = [];
  if (said.code !== code) faults.push(`ended with ${said.code}, expected ${code}`);
  if (!words.test(said.stdout + said.stderr)) faults.push(`did not say ${words}`);
  if (faults.length > 0) faults.push(`said "${said.stdout}${said.stderr}"`);
  assertNone(faults.map((fault) => `vmferry ${args}: ${fault}`));
  return said;
}
