/**
 * `ssh -L` from socket to socket, with an sshd on loopback and keys of its own.
 *
 * @module
 */
import { freePort } from "./ground.ts";
import { type Relay, startRelay } from "./relays/relays.ts";
import { run } from "../run.ts";

/** How ssh connects. */
export interface SshOptions {
  /** Connect to this port, which leads to `far`. Default: straight to sshd. */
  readonly near?: number;
  /** The port of sshd. Default: a free one. */
  readonly far?: number;
  /** `ssh -C`. */
  readonly compress?: boolean;
}

/** Forwards a socket in `dir` to `target` with that cipher; nothing of the user's settings counts. */
export async function sshForward(
  dir: string,
  target: string,
  cipher: string,
  options: SshOptions = {},
): Promise<Relay> {
  const port = options.far ?? freePort();
  const path = `${dir}/ssh.sock`;
  await makeKeys(dir);
  // As root sshd needs a directory that only the started service would have created.
  if (Deno.uid() === 0) await Deno.mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  await Deno.writeTextFile(
    `${dir}/sshd_config`,
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${dir}/host_key`,
      `AuthorizedKeysFile ${dir}/user_key.pub`,
      `Ciphers ${cipher}`,
      "PidFile none",
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "PermitRootLogin prohibit-password",
      "AllowStreamLocalForwarding yes",
      "",
    ].join("\n"),
  );
  const relay = await startRelay(path, {
    far: [await sshd(), "-D", "-e", "-f", `${dir}/sshd_config`],
    farListens: port,
    near: [
      ...["ssh", "-F", "none", "-N", "-i", `${dir}/user_key`, "-p", String(options.near ?? port)],
      ...(options.compress ? ["-C"] : []),
      ...["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", `Ciphers=${cipher}`],
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
      ...["-L", `${path}:${target}`, "127.0.0.1"],
    ],
  });
  return relay;
}

/** sshd starts itself anew for each connection, so it wants its whole path. */
async function sshd(): Promise<string> {
  for (const dir of ["/usr/sbin", "/usr/local/sbin", "/sbin"]) {
    const path = `${dir}/sshd`;
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  throw new Error("There is no sshd; it is in Debian's package openssh-server");
}

async function makeKeys(dir: string): Promise<void> {
  for (const name of ["host_key", "user_key"]) {
    const path = `${dir}/${name}`;
    if (await Deno.stat(path).then(() => true, () => false)) continue;
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "vmferry bench", "-f", path]);
  }
}
