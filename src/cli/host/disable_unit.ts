import { messageOf } from "../../io/mod.ts";
import type { QemuProcess } from "../../launch/mod.ts";
import type { RunProgram } from "../../host/mod.ts";

/** How long systemctl may take, ms. */
const SYSTEMCTL_MS = 20_000;

/**
 * Keeps systemd from starting a guest at boot that has left for good. The unit's processes go on.
 *
 * @returns what the user has to know: the unit that was disabled, or why it was not; `undefined` where
 * no unit starts the guest at boot.
 */
export async function disableUnit(
  run: RunProgram,
  unit: QemuProcess["unit"],
): Promise<string | undefined> {
  if (!unit?.name.endsWith(".service")) return undefined;
  const systemctl = (verb: string) =>
    run(
      ["systemctl", ...(unit.scope === "user" ? ["--user"] : []), verb, "--quiet", "--", unit.name],
      { timeoutMs: SYSTEMCTL_MS },
    );
  try {
    if ((await systemctl("is-enabled")).code !== 0) return undefined;
    const { code, stderr } = await systemctl("disable");
    if (code === 0) {
      return `${unit.name} is disabled at the source: the guest starts at the destination from now on`;
    }
    return notDisabled(unit.name, stderr.trim());
  } catch (error) {
    return notDisabled(unit.name, messageOf(error));
  }
}

function notDisabled(name: string, why: string): string {
  return `${name} still starts the guest at boot at the source: ${why}. Run 'systemctl disable ${name}' there`;
}
