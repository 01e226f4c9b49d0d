import type { LabHost } from "./lab_host.ts";
import { poll } from "./waiting.ts";

/**
 * Starts sshd on a host, which takes one key for root, and for others by their `.ssh/authorized_keys`; it
 * ends with the host.
 *
 * @param keys a directory that all hosts see; `key` and `known_hosts` for the clients are made in it.
 * @param start runs a program on the host that stays.
 */
export async function startSshd(
  host: LabHost,
  keys: string,
  start: (argv: readonly string[]) => Promise<void> | void = (argv) => host.start(argv),
): Promise<void> {
  await Deno.mkdir(keys);
  for (const name of ["host", "key"]) {
    const args = ["-q", "-t", "ed25519", "-N", "", "-f", `${keys}/${name}`];
    const { success, stderr } = await new Deno.Command("ssh-keygen", { args }).output();
    if (!success) throw new Error(`ssh-keygen: ${new TextDecoder().decode(stderr)}`);
  }
  const hostKey = await Deno.readTextFile(`${keys}/host.pub`);
  await Deno.writeTextFile(`${keys}/known_hosts`, `${host.address} ${hostKey}`);
  const options = {
    ListenAddress: host.address,
    HostKey: `${keys}/host`,
    // Other users may not look into the first one's directory.
    AuthorizedKeysFile: `${keys}/key.pub .ssh/authorized_keys`,
    PidFile: "/run/sshd.pid",
    StrictModes: "no",
    UsePAM: "no",
    PasswordAuthentication: "no",
    KbdInteractiveAuthentication: "no",
    PermitRootLogin: "yes",
    Subsystem: "sftp internal-sftp",
  };
  const config = Object.entries(options).map(([name, value]) => `${name} ${value}\n`).join("");
  await Deno.writeTextFile(`${keys}/sshd_config`, config);
  await Deno.mkdir(host.file("/run/sshd"), { mode: 0o755 });
  await start(["/usr/sbin/sshd", "-D", "-e", "-f", `${keys}/sshd_config`]);
  await poll("sshd to listen", async () => {
    return await Deno.stat(host.file("/run/sshd.pid")).then(() => true, () => undefined);
  });
}
