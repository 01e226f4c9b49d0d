import type { Scenario, ScenarioContext } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import {
  assertMigrated,
  type LibvirtHost,
  LibvirtLab,
  RingDomain,
  startDomainFerries,
} from "./lab/mod.ts";

/** RAM in several connections of QEMU (multifd). */
export const scenario: Scenario = {
  name: "parallel",
  about: "all RAM connections of --parallel cross in one connection, and the domain arrives whole",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    // QEMU makes one connection more than libvirt asks for: the main one.
    const two = await move(context, lab, { name: "two", options: [], ram: 3 });
    const options = ["--parallel-connections", "4"];
    const four = await move(context, lab, { name: "four", options, ram: 5 });
    await lab.assertConnections(2);
    return `${two}; ${four}`;
  },
};

async function move(
  context: ScenarioContext,
  lab: LibvirtLab,
  { name, options, ram }: { name: string; options: readonly string[]; ram: number },
): Promise<string> {
  const guest = await RingDomain.start(lab, {
    ...{ name, guest: { ramPages: 8192, ramStep: 64 } },
    disks: [{ format: "qcow2", bytes: 16 << 20 }, { format: "raw", bytes: 16 << 20 }],
  });
  // RAM takes long enough to be seen.
  await lab.limitRate(16);
  const args = ["--", "--parallel", ...options];
  const ferries = await startDomainFerries(context, lab, name, { args });
  await ferries.receive.waitEvent("phase", (e) => e.phase === "ram");
  const seen = async () => await ramConnections(lab.destination) === ram || undefined;
  await poll(`QEMU to have ${ram} connections for RAM`, seen, 20_000, 50);
  await lab.limitRate(null);
  const { totalMs, downtimeMs } = await assertMigrated(ferries);
  await guest.assertArrived();
  return `${ram} connections: ${totalMs} ms, downtime ${downtimeMs} ms`;
}

/** Connections that QEMU has accepted for RAM. */
async function ramConnections(host: LibvirtHost): Promise<number> {
  const { code, stdout, stderr } = await host.run(["ss", "-Hx", "state", "established"]);
  if (code !== 0) throw new Error(`ss: ${stderr}`);
  return stdout.split("\n").filter((line) => line.includes("/ram.sock")).length;
}
