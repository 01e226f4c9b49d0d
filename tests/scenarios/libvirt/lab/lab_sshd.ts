import { vmferryPath } from "../../support/vmferry.ts";
import { poll } from "../../support/waiting.ts";
import type { LibvirtLab } from "./lab.ts";

/** How the source reaches the destination by ssh, as root, without a question. */
export interface LabSshd {
  /** `ssh://root@ADDRESS`. */
  readonly url: string;
  /** Options of vmferry: the key, the known hosts, and where vmferry is on the destination. */
  readonly flags: readonly string[];
}

/**
 * Starts sshd on the destination; it ends with the host.
 *
 * @param dir of the scenario; keys are made in it.
 */
export async function startSshd({ destination }: LibvirtLab, dir: string): Promise<LabSshd> {
  const keys = `${dir}/ssh`;
  await Deno.mkdir(keys);
  for (const name of ["host", "key"]) {
    const args = ["-q", "-t", "ed25519", "-N", "", "-f", `${keys}/${name}`];
    const { success, stderr } = await new Deno.Command("ssh-keygen", { args }).output();
    if (!success) throw new Error(`ssh-keygen: ${new TextDecoder().decode(stderr)}`);
  }
  const hostKey = await Deno.readTextFile(`${keys}/host.pub`);
  await Deno.writeTextFile(`${keys}/known_hosts`, `${destination.address} ${hostKey}`);
  const options = {
    ListenAddress: destination.address,
    HostKey: `${keys}/host`,
    AuthorizedKeysFile: `${keys}/key.pub`,
    PidFile: "/run/sshd.pid",
    StrictModes: "no",
    UsePAM: "no",
    PasswordAuthentication: "no",
    KbdInteractiveAuthentication: "no",
    PermitRootLogin: "yes",
  };
  const config = Object.entries(options).map(([name, value]) => `${name} ${value}\n`).join("");
  await Deno.writeTextFile(`${keys}/sshd_config`, config);
  await Deno.mkdir(destination.file("/run/sshd"), { mode: 0o755 });
  destination.start(["/usr/sbin/sshd", "-D", "-e", "-f", `${keys}/sshd_config`]);
  await poll("sshd to listen", async () => {
    return await Deno.stat(destination.file("/run/sshd.pid")).then(() => true, () => undefined);
  });
  return {
    url: `ssh://root@${destination.address}`,
    flags: [
      ...["--ssh-option", `IdentityFile=${keys}/key`],
      ...["--ssh-option", `UserKnownHostsFile=${keys}/known_hosts`],
      ...["--ssh-option", "StrictHostKeyChecking=yes"],
      ...["--remote-command", vmferryPath()],
    ],
  };
}
