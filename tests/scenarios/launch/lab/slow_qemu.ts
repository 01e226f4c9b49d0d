import type { LabHost } from "../../support/lab_host.ts";
import { poll } from "../../support/waiting.ts";
import type { LaunchLab } from "./lab.ts";

/** /usr/bin of the host as it was, for the scripts in front of its programs. */
const REAL = "/mnt";
const QEMU = "qemu-system-x86_64";

/** Puts a script for bash in front of a program of the destination; `$REAL` has the real one. */
async function front(
  { destination, shared }: LaunchLab,
  program: string,
  script: string,
): Promise<void> {
  if ((await destination.run(["mountpoint", "-q", REAL])).code !== 0) {
    await destination.must("mount", "--bind", "/usr/bin", REAL);
  }
  const path = `${shared}/${crypto.randomUUID()}`;
  const text = `#!/bin/bash\nREAL=${REAL}/${program}\n${script}\n`;
  await Deno.writeTextFile(path, text, { mode: 0o755 });
  await destination.run(["umount", "--lazy", `/usr/bin/${program}`]);
  await destination.must("mount", "--bind", path, `/usr/bin/${program}`);
}

/**
 * Puts a script in front of the destination's QEMU.
 *
 * @param script for bash, with QEMU's arguments; `qemu` is a function that becomes the real one.
 */
export async function frontQemu(lab: LaunchLab, script: string): Promise<void> {
  // A QEMU at another path does not find its firmware.
  const real = 'exec "$REAL" -L /usr/share/qemu -L /usr/share/seabios "$@"';
  await front(lab, QEMU, `qemu() { ${real}; }\n${script}`);
}

/** The destination's QEMU waits for 20 s before it starts, once. */
export async function slowQemu(lab: LaunchLab): Promise<void> {
  const wait = await waiting(lab, 20);
  await frontQemu(lab, `[[ " $* " != *" -incoming "* ]] || ${wait}\nqemu "$@"`);
}

/** The destination's qemu-img waits for 5 s before it creates an image. */
export async function slowImages(lab: LaunchLab): Promise<void> {
  const wait = await waiting(lab, 5);
  await front(lab, "qemu-img", `[[ "$1" != create ]] || ${wait}\nexec "$REAL" "$@"`);
}

/**
 * The destination's qemu-nbd serves what an NBD server has, and not the image that it is given.
 *
 * @param socket UNIX socket of the server.
 */
export async function serveInstead(lab: LaunchLab, socket: string): Promise<void> {
  const uri = `nbd+unix:///?socket=${socket}`;
  await front(lab, "qemu-nbd", `exec "$REAL" "\${@:1:$#-1}" '${uri}'`);
}

/** A command that waits, without a child process. */
async function waiting({ destination, shared }: LaunchLab, seconds: number): Promise<string> {
  const never = `${shared}/never`;
  await destination.run(["mkfifo", never]);
  return `read -r -t ${seconds} _ <>${never}`;
}

/** Waits until a process of the host has such a command line. */
export async function waitFor(host: LabHost, pattern: string): Promise<void> {
  const ask = async () => (await host.run(["pgrep", "-f", pattern])).code === 0 || undefined;
  await poll(`${host.name}: ${pattern}`, ask, 30_000, 100);
}

/** A program of the destination is the real one again. */
export async function restoreProgram({ destination }: LaunchLab, program: string): Promise<void> {
  // One that is being ended may still read its script.
  await destination.must("umount", "--lazy", `/usr/bin/${program}`);
}

/** The destination's QEMU is the real one again. */
export async function restoreQemu(lab: LaunchLab): Promise<void> {
  await restoreProgram(lab, QEMU);
}
