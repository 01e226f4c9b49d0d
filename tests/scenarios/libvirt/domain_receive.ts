import { assertExit, type Scenario } from "../support/scenario.ts";
import { assertAsBefore, hostState, LibvirtLab, RingDomain } from "./lab/mod.ts";

/** The destination of a domain alone: arrival, a killed source, a killed destination, the next try. */
export const scenario: Scenario = {
  name: "domain_receive",
  about: "receive --libvirt keeps a domain that arrives and removes what a killed one created",
  timeoutMs: 300_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const domain = await RingDomain.start(lab);
    const before = await hostState(lab.destination);
    const secret = `${context.dir}/secret`;
    await Deno.writeTextFile(secret, crypto.randomUUID(), { mode: 0o600 });
    await lab.limitRate(20);

    const killed = await start(lab, domain.name, secret);
    await killed.source.waitEvent("progress", (event) => event.phase === "mirror", 30_000);
    killed.receive.signal("SIGKILL");
    await killed.source.exit();
    await domain.assertRunsOnlyOn(lab.source);

    const cut = await start(lab, domain.name, secret);
    await cut.source.waitEvent("progress", (event) => event.phase === "mirror", 30_000);
    cut.source.signal("SIGKILL");
    await assertExit(cut.receive, 1);
    await domain.assertRunsOnlyOn(lab.source);
    await assertAsBefore(lab.destination, before);

    await lab.limitRate(null);
    const last = await start(lab, domain.name, secret);
    await assertExit(last.source, 0);
    await assertExit(last.receive, 0, 20_000);
    await domain.assertArrived();
    return "arrived after two kills";
  },
};

async function start(lab: LibvirtLab, name: string, secret: string) {
  const { address } = lab.destination;
  const tcp = `tcp://${address}:7777`;
  const receive = lab.destination.vmferry({
    name: "receive",
    args: [
      "receive",
      "--libvirt",
      "--listen",
      tcp,
      "--insecure",
      "--secret-file",
      secret,
      "--json",
      "--verbose",
      "--grace",
      "5",
    ],
  });
  await receive.waitEvent("listening", undefined, 20_000);
  const source = lab.source.vmferry({
    name: "domain",
    args: [
      "domain",
      name,
      tcp,
      "--insecure",
      "--secret-file",
      secret,
      "--json",
      "--verbose",
      "--grace",
      "5",
    ],
  });
  return { receive, source };
}
