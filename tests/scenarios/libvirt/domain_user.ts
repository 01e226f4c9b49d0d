import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { vmferryPath } from "../support/vmferry.ts";
import { assertAsBefore, hostState, LibvirtLab, privateTmp, RingDomain } from "./lab/mod.ts";

/** A user of the machine who may do nothing but what the group libvirt may. */
const USER = ["setpriv", "--reuid", "65534", "--regid", "65534"] as const;
const PORT = 7777;

/** An ordinary user in group libvirt receives a domain. */
export const scenario: Scenario = {
  name: "domain_user",
  about: "receive --libvirt works for an ordinary user in group libvirt, and leaves nothing behind",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { source, destination } = lab;
    const domain = await RingDomain.start(lab);
    // The path of QEMU's sockets is the same on both hosts, and lies in /tmp here.
    for (const host of [source, destination]) {
      await privateTmp(host);
      await sh(host, `umask 077; mkdir -p /run/user; echo ${SECRET} >/run/user/secret`);
    }
    await sh(destination, "chmod 711 /run/user; chown -R 65534:65534 /run/user");
    const group = (await sh(destination, "getent group libvirt | cut -d : -f 3")).trim();
    const before = await hostState(destination);
    const args = ["--listen", `tcp://${destination.address}:${PORT}`, "--insecure"];
    destination.start([
      ...[...USER, "--groups", group, vmferryPath(), "receive", "--libvirt", ...args],
      ...["--secret-file", "/run/user/secret", "--run-dir", "/run/user/vmferry"],
    ]);
    await poll("the user's vmferry to listen", async () => {
      return (await sh(destination, "ss -Hltn")).includes(`:${PORT} `) || undefined;
    });
    const migration = source.vmferry({
      name: "domain",
      args: [
        ...["domain", domain.name, `tcp://${destination.address}:${PORT}`, "--insecure"],
        ...["--secret-file", "/run/user/secret", "--json", "--verbose"],
      ],
    });
    await assertExit(migration, 0);
    await domain.assertArrived();
    await domain.removeImages(destination);
    await assertAsBefore(destination, before);
    return "arrived";
  },
};

const SECRET = "a secret of the scenario, of no value";

async function sh(host: LibvirtLab["source"], script: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(["sh", "-c", script]);
  if (code !== 0) throw new Error(`${host.name}: ${script}: ${stderr}`);
  return stdout;
}
