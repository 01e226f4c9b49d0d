import { startSshd as startSshdOn } from "../../support/lab_sshd.ts";
import { vmferryPath } from "../../support/vmferry.ts";
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
  await startSshdOn(destination, keys);
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
