import {
  assertExit,
  assertFails,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import { vmferryPath } from "../support/vmferry.ts";
import { type LibvirtHost, LibvirtLab, RingDomain, Trial, type Try } from "../libvirt/lab/mod.ts";

/** How a migration is ended before its end: what it is called, what does it, the exit codes. */
export interface Way {
  readonly name: string;
  readonly start: "startCopy" | "startRam";
  readonly options?: readonly string[];
  readonly end: (ends: Try, lab: LibvirtLab) => Promise<void> | void;
  readonly source: number;
  readonly destination: number;
  /** `CODE: MESSAGE` at the source. */
  readonly reason: RegExp;
}

const WAYS: readonly Way[] = [
  {
    name: "vmferry cancel at the source",
    start: "startCopy",
    end: (_, { source }) => cancel(source),
    source: 5,
    destination: 1,
    reason: /^cancelled: /,
  },
  {
    name: "SIGINT at the source",
    start: "startCopy",
    end: ({ domain }) => domain.signal("SIGINT"),
    source: 5,
    destination: 1,
    reason: /^cancelled: .*SIGINT/,
  },
  {
    name: "SIGTERM at the source while RAM crosses",
    start: "startRam",
    end: ({ domain }) => domain.signal("SIGTERM"),
    source: 5,
    destination: 1,
    reason: /^cancelled: .*SIGTERM/,
  },
];

/** Cancels at the source, while disks and while RAM are copied. */
export const scenario: Scenario = {
  name: "cancel_domain",
  about:
    "a domain that is cancelled at the source runs on there, and nothing is left on either host",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const { trial } = await endEach(context, WAYS);
    await trial.assertNextWorks();
  },
};

/** Begins a migration and ends it, in each of the ways. */
export async function endEach(context: ScenarioContext, ways: readonly Way[]) {
  const lab = await LibvirtLab.start(context);
  const domain = await RingDomain.start(lab, { guest: { ramPages: 8192, ramStep: 4 } });
  const trial = await Trial.begin(context, lab, domain);
  for (const way of ways) {
    trial.note(way.name);
    const ends = await trial[way.start](way.options);
    await way.end(ends, lab);
    await assertFails(ends.domain, way.source, way.reason);
    await assertExit(ends.receive, way.destination, 20_000);
    await trial.assertAsBefore();
  }
  return { lab, trial };
}

/** Runs `vmferry cancel` on a host. */
export async function cancel(host: LibvirtHost): Promise<void> {
  const { code, stderr } = await host.run([vmferryPath(), "cancel", "--name", "vm1"]);
  if (code !== 0) throw new Error(`vmferry cancel ended with ${code}: ${stderr}`);
}
