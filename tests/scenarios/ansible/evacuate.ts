import { JOURNAL } from "../../../src/cli/run/journal_file.ts";
import type { LabHost } from "../support/lab_host.ts";
import { assertNone, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { Fleet } from "./lab/fleet.ts";
import { FleetGuest } from "./lab/guest.ts";
import { Operator, type PlaybookRun, type ReportedGuest } from "./lab/playbook.ts";

/** As slow as it takes to be killed in the middle. */
const SLOW = ["--bandwidth", "256K", "--compress", "off", "--grace", "3"];

/** How often the playbook may be run again; a busy machine delays what has a deadline. */
const MOST_RUNS = 4;

/** A host is emptied, and one of the others dies half-way. */
export const scenario: Scenario = {
  name: "evacuate",
  about: "a playbook empties a host of eight guests, also after the end of a destination half-way",
  timeoutMs: 1_500_000,
  long: true,
  async run(context) {
    const fleet = await Fleet.start(context);
    const [source, dying] = fleet.hosts;
    const operator = await Operator.begin(context, fleet);
    await operator.writeInventory([]);
    context.note("the role installs the program, once");
    const installed = [await operator.install(), await operator.install()];
    assertNone(`${installed}` === "3,0" ? [] : [`install has changed ${installed} hosts, not 3,0`]);

    const guests: FleetGuest[] = [];
    for (let i = 1; i <= 8; i++) guests.push(await FleetGuest.start(fleet, i));
    const counters = await Promise.all(guests.map((guest) => guest.counter(source)));
    const entries = guests.map(({ name, qmp }, i) => ({
      name,
      qmp,
      to: i < 4 ? "host3" : "host2",
    }));

    context.note("check mode moves nobody");
    await operator.writeInventory(entries);
    const few = JSON.stringify({ evacuate_only: ["vm1", "vm5"] });
    await operator.evacuate("check", "--check", "-e", few).mustSucceed();
    await assertPlaces(guests, () => "host1");

    context.note("a destination dies while two disks are copied to it");
    await operator.writeInventory(
      entries.map((entry, i) => i < 4 ? entry : { ...entry, migrate_arguments: SLOW }),
    );
    const first = operator.evacuate("first");
    const early = tooEarly(first);
    early.catch(() => {});
    await Promise.race([waitCopying(source, guests[4]!), early]);
    await fleet.kill(dying);
    const { code } = await first.end();
    const report = await operator.report("first");
    assertNone([
      ...(code === 0 ? ["the playbook succeeded although a host had died"] : []),
      ...wrong(report, (i) => i < 4 ? /^migrated$/ : i < 6 ? /^failed$/ : /^(failed|stopped)$/),
    ]);
    const where = (i: number) => i < 4 ? "host3" : "host1";
    await assertPlaces(guests, where);

    context.note("the second run moves the rest, and no guest twice");
    await fleet.revive(dying);
    await operator.writeInventory(entries);
    const runs = await untilMoved(operator, guests);
    const arrived = (i: number) => i < 4 ? "host3" : "host2";
    await assertPlaces(guests, arrived);
    await assertCounted(context, fleet, guests, counters, arrived);

    context.note("a third run changes nothing, and names a guest that has ended");
    await guests[7]!.kill(dying);
    const third = await operator.evacuate("third").end();
    const last = await operator.report("third");
    assertNone([
      ...(third.code === 0 ? ["the playbook succeeded although a guest runs nowhere"] : []),
      ...wrong(last, (i) => i < 7 ? /^arrived$/ : /^lost$/),
      ...(/start\.sh starts the guest/.test(last[7]!.next.join()) ? [] : ["no next step for vm8"]),
    ]);
    await assertPlaces(guests.slice(0, 7), arrived);
    return `${runs} more run${runs === 1 ? "" : "s"} after the end of a host`;
  },
};

/**
 * Runs the playbook until it succeeds: one run is enough where the machine is not too busy for the deadlines of
 * vmferry. Throws when a guest moves twice, or runs on two hosts.
 *
 * @returns how many runs it took.
 */
async function untilMoved(operator: Operator, guests: readonly FleetGuest[]): Promise<number> {
  const moved = new Set<string>();
  for (let run = 1;; run++) {
    const name = `again-${run}`;
    const { code } = await operator.evacuate(name).end();
    const report = await operator.report(name);
    assertNone([
      ...wrong(
        report,
        (i) =>
          i < 4 || moved.has(guests[i]!.name) ? /^arrived$/ : /^(migrated|refused|failed|stopped)$/,
      ),
      ...report.filter(({ outcome }) => code === 0 && ["refused", "failed"].includes(outcome)).map((
        { guest },
      ) => `the playbook succeeded without ${guest}`),
    ]);
    for (const { guest, outcome } of report) if (outcome === "migrated") moved.add(guest);
    const places = (i: number) => i < 4 ? "host3" : moved.has(guests[i]!.name) ? "host2" : "host1";
    await assertPlaces(guests, places);
    if (code === 0) return run;
    if (run === MOST_RUNS) throw new Error(`The guests had not moved after ${run} runs`);
  }
}

/** Rejects when the playbook ends. */
async function tooEarly(first: PlaybookRun): Promise<never> {
  const { code } = await first.end();
  throw new Error(`The playbook ended with ${code} before its host was killed`);
}

/** Waits until the disk of a guest is being copied. */
async function waitCopying(host: LabHost, guest: FleetGuest): Promise<void> {
  // A `vmferry status` each time would make a busy machine busier.
  const journals = async () => {
    const runs = [...Deno.readDirSync(host.file("/run/vmferry"))].map(({ name }) => name);
    return await Promise.all(
      runs.map((run) => Deno.readTextFile(host.file(`/run/vmferry/${run}/${JOURNAL}`))),
    );
  };
  await poll(
    `${guest.name} to be copied`,
    async () => {
      const texts = await journals().catch(() => []);
      const isCopied = (text: string) =>
        text.includes(`"${guest.qmp}"`) && text.includes('"state":"mirror"');
      return texts.some(isCopied) || undefined;
    },
    900_000,
    200,
  );
}

/** Faults where the outcome of a guest is not as expected. */
function wrong(report: readonly ReportedGuest[], expected: (i: number) => RegExp): string[] {
  const faults = report.length === 8 ? [] : [`the report has ${report.length} guests`];
  report.forEach(({ guest, outcome, message }, i) => {
    if (guest !== `vm${i + 1}`) faults.push(`guest ${i + 1} of the report is ${guest}`);
    if (!expected(i).test(outcome)) faults.push(`${guest}: ${outcome} (${message})`);
  });
  return faults;
}

/** Throws unless each guest runs on one host, this one. */
async function assertPlaces(
  guests: readonly FleetGuest[],
  expected: (i: number) => string,
): Promise<void> {
  const faults: string[] = [];
  for (const [i, guest] of guests.entries()) {
    const places = await guest.runsOn();
    if (places.join() !== expected(i)) {
      faults.push(`${guest.name} runs on ${places.join(" and ") || "no host"}, not ${expected(i)}`);
    }
  }
  assertNone(faults);
}

/** Throws unless each guest has counted on from where it was. */
async function assertCounted(
  context: ScenarioContext,
  { hosts }: Fleet,
  guests: readonly FleetGuest[],
  before: readonly number[],
  place: (i: number) => string,
): Promise<void> {
  for (const [i, guest] of guests.entries()) {
    const host = hosts.find(({ name }) => name === place(i))!;
    const counter = await guest.counter(host);
    await guest.assertCounts(host, Math.max(counter, before[i]!));
    context.note(`${guest.name} on ${host.name}: ${before[i]} before, ${counter} after`);
  }
}
