import type { LabHost } from "../../support/lab_host.ts";
import type { LaunchLab } from "./lab.ts";

/** A user that the machine does not have. */
export const USER = "vmowner";
/** Its number, and that of its group. */
const UID = 64711;
/** Its home directory; each host has its own. */
export const HOME = `/var/home/${USER}`;

/** Makes a user on a host of the lab, with a home directory; the hosts share everything else in /etc. */
export async function addUser({ shared }: LaunchLab, host: LabHost): Promise<void> {
  const entries = {
    passwd: `${USER}:*:${UID}:${UID}::${HOME}:/bin/sh`,
    group: `${USER}:x:${UID}:`,
  };
  for (const [name, entry] of Object.entries(entries)) {
    const path = `${shared}/${host.name}.${name}`;
    await Deno.writeTextFile(path, `${await Deno.readTextFile(`/etc/${name}`)}${entry}\n`);
    await Deno.chmod(path, 0o644);
    await host.must("mount", "--bind", path, `/etc/${name}`);
  }
  await host.must("install", "-d", "-m", "711", "/var/home");
  await host.must("install", "-d", "-o", USER, "-g", USER, "-m", "700", HOME);
}

/** The host does not have the user any more; its home directory stays. */
export async function removeUser(host: LabHost): Promise<void> {
  for (const name of ["passwd", "group"]) await host.must("umount", "--lazy", `/etc/${name}`);
}

/** Lets the source's root log in at the destination as the user. */
export async function allowUser({ destination, shared }: LaunchLab): Promise<void> {
  const own = ["-o", USER, "-g", USER];
  await destination.must("install", "-d", ...own, "-m", "700", `${HOME}/.ssh`);
  const key = `${shared}/${destination.name}/key.pub`;
  await destination.must("install", ...own, "-m", "600", key, `${HOME}/.ssh/authorized_keys`);
}
