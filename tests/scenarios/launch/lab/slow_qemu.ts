import type { LabHost } from "../../support/lab_host.ts";
import { poll } from "../../support/waiting.ts";
import type { LaunchLab } from "./lab.ts";

const QEMU = "/usr/bin/qemu-system-x86_64";
/** /usr/bin of the host as it was, for the script in front of QEMU. */
const REAL = "/mnt";

/**
 * Puts a script in front of the destination's QEMU.
 *
 * @param script for bash, with QEMU's arguments; `qemu` is a function that becomes the real one.
 */
export async function frontQemu({ destination, shared }: LaunchLab, script: string): Promise<void> {
  if ((await destination.run(["mountpoint", "-q", REAL])).code !== 0) {
    await destination.must("mount", "--bind", "/usr/bin", REAL);
  }
  const path = `${shared}/${crypto.randomUUID()}`;
  // A QEMU at another path does not find its firmware.
  const real = `exec ${REAL}/qemu-system-x86_64 -L /usr/share/qemu -L /usr/share/seabios "$@"`;
  await Deno.writeTextFile(path, `#!/bin/bash\nqemu() { ${real}; }\n${script}\n`, { mode: 0o755 });
  await destination.run(["umount", "--lazy", QEMU]);
  await destination.must("mount", "--bind", path, QEMU);
}

/** The destination's QEMU waits for 20 s before it starts, once. */
export async function slowQemu(lab: LaunchLab): Promise<void> {
  const never = `${lab.shared}/never`;
  await lab.destination.run(["mkfifo", never]);
  const wait = `read -r -t 20 _ <>${never}`;
  await frontQemu(lab, `[[ " $* " != *" -incoming "* ]] || ${wait}\nqemu "$@"`);
}

/** Waits until the destination's QEMU is being started. */
export async function waitStarting(host: LabHost): Promise<void> {
  const ask = async () => {
    const { code } = await host.run(["pgrep", "-f", "^/bin/bash .*qemu-system.* -incoming"]);
    return code === 0 || undefined;
  };
  await poll("the destination's QEMU to be started", ask, 30_000, 100);
}

/** The destination's QEMU is the real one again. */
export async function restoreQemu({ destination }: LaunchLab): Promise<void> {
  // A QEMU that is being ended may still read its script.
  await destination.must("umount", "--lazy", QEMU);
}
