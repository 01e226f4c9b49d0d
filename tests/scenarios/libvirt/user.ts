import { assertExit, type Scenario } from "../support/scenario.ts";
import { HostVmferry, type LibvirtHost, LibvirtLab, privateTmp, RingDomain } from "./lab/mod.ts";

/** The user that has nothing on a machine. */
const UID = 65534;
const HOME = "/run/user/65534";

/** Nobody is root but libvirt. */
export const scenario: Scenario = {
  name: "user",
  about: "an ordinary user in group libvirt on both hosts moves a domain; without setfacl not",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { source, destination } = lab;
    const guest = await RingDomain.start(lab);
    const group = (await sh(source, "getent group libvirt | cut -d : -f 3")).trim();
    const secret = `${HOME}/secret`;
    let kept: string | undefined;
    for (const host of [source, destination]) {
      // QEMU's sockets are in /tmp, at the same path of both hosts.
      kept = await privateTmp(host);
      await sh(host, `mkdir -p ${HOME}; umask 077; echo an-unimportant-secret >${secret}`);
      await sh(host, `chmod 700 ${HOME}; chown -R ${UID}:${UID} ${HOME}`);
    }
    const run = (host: LibvirtHost, name: string, args: readonly string[]): HostVmferry =>
      context.use(
        new HostVmferry({
          name,
          args: [...args, "--json", "--secret-file", secret, "--insecure"],
          prefix: [
            ...host.prefix,
            ...["setpriv", "--reuid", `${UID}`, "--regid", `${UID}`, "--groups", group],
            ...["env", `XDG_RUNTIME_DIR=${HOME}`, `HOME=${HOME}`],
          ],
        }),
      );
    const listen = ["receive", "--libvirt", "--listen", `tcp://${destination.address}:0`];

    context.note("setfacl is missing at the destination");
    const setfacl = (await sh(destination, "command -v setfacl")).trim();
    await sh(destination, `mount --bind /dev/null ${setfacl}`);
    const refused = run(destination, "refused", listen);
    await assertExit(refused, 3, 30_000);
    const { error } = await refused.waitEvent("result");
    const { code, side, message } = error as { code: string; side: string; message: string };
    if (code !== "no-socket-directory" || side !== "destination" || !/setfacl/.test(message)) {
      throw new Error(`Got ${JSON.stringify(error)}`);
    }
    await guest.assertRunsOnlyOn(source);
    await sh(destination, `umount ${setfacl}`);

    context.note("setfacl is there");
    const receive = run(destination, "receive", listen);
    const domain = run(source, "domain", ["domain", guest.name, await receive.address()]);
    await assertExit(domain, 0);
    await assertExit(receive, 0, 20_000);
    for (const host of [source, destination]) {
      const others = kept === undefined ? "" : `-path ${kept} -prune -o `;
      const own =
        `${others}-path ${HOME}/.cache -prune -o -path ${secret} -o -path ${HOME}/vmferry`;
      const left = await sh(
        host,
        `find /tmp ${HOME} -ignore_readdir_race -mindepth 1 ${own} -o -print`,
      );
      if (left.trim() !== "") throw new Error(`${host.name}: left ${left.trim()}`);
    }
    await lab.assertConnections(1);
    await guest.assertArrived();
  },
};

async function sh(host: LibvirtHost, script: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(["sh", "-c", script]);
  if (code !== 0) throw new Error(`${host.name}: ${script}: ${stderr}`);
  return stdout;
}
