import { assertExit, assertNone, type Scenario } from "../support/scenario.ts";
import { vmferryPath } from "../support/vmferry.ts";
import {
  assertLabAsBefore,
  assertListens,
  labState,
  LibvirtLab,
  RingDomain,
  startSshd,
  tracesOf,
} from "./lab/mod.ts";

/** One command over ssh; nothing else is started by hand. */
export const scenario: Scenario = {
  name: "domain_ssh",
  about: "one command moves a domain over one ssh connection, and is controlled meanwhile",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { source, destination } = lab;
    const { url, flags } = await startSshd(lab, context.dir);
    const before = await labState(lab);
    const guest = await RingDomain.start(lab);
    const domain = source.vmferry({
      name: "domain",
      args: ["domain", guest.name, url, ...flags, "--json", "--bandwidth", "2M"],
    });
    await domain.waitEvent("progress", (e) => e.phase === "mirror" && Number(e.rate) > 0);
    await assertListens(source, []);
    await assertListens(destination, [22]);

    const vmferry = async (...args: readonly string[]) => {
      const { code, stdout, stderr } = await source.run([vmferryPath(), ...args]);
      if (code !== 0) throw new Error(`vmferry ${args.join(" ")}: ${code} ${stderr}`);
      return stdout;
    };
    const [status] = (await vmferry("status", "--json", "--name", guest.name)).trim().split("\n");
    const { phase, bandwidth, guest: seen } = JSON.parse(status!);
    const faults: string[] = [];
    if (phase !== "mirror") faults.push(`Got phase ${phase} in the status, expected mirror`);
    if (bandwidth !== 2 << 20) faults.push(`Got bandwidth ${bandwidth} in the status`);
    if (seen.name !== guest.name) faults.push(`Got guest ${seen.name} in the status`);
    assertNone(faults);

    await vmferry("set", "--name", guest.name, "bandwidth=64M", "max-downtime=1500ms");
    const downtime = await source.virsh("migrate-getmaxdowntime", guest.name);
    if (downtime !== "1500") throw new Error(`libvirt has the downtime ${downtime}, expected 1500`);
    const changedAt = performance.now();
    await assertExit(domain, 0);
    const seconds = (performance.now() - changedAt) / 1000;
    // At 2 MiB/s the rest would take a minute.
    if (seconds > 30) throw new Error(`The rest took ${seconds} s with 64 MiB/s`);
    const result = await domain.waitEvent("result");
    if (result.outcome !== "migrated") throw new Error(`Got ${result.outcome}`);
    await lab.assertConnections(1);
    const images = new RegExp(`/${guest.name}-\\d\\.(qcow2|raw)$`);
    const traces = tracesOf(guest.name);
    await assertLabAsBefore(lab, before, new RegExp(`${traces.source}|${images.source}`));
    await guest.assertArrived();
    return `the rest in ${seconds.toFixed(1)} s after bandwidth=64M`;
  },
};
