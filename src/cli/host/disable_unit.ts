import { messageOf } from "../../io/mod.ts";
import type { QemuProcess } from "../../launch/mod.ts";
import type { RunProgram } from "../../host/mod.ts";

/** How long systemctl may take, ms. */
const SYSTEMCTL_MS = 20_000;

/**
 * Keeps systemd from starting a guest at boot that has left. The unit's processes go on.
 *
 * @param persist whether the destination starts the guest at boot from now on. If not, the unit stays
 * enabled, and the user has to know: after a reboot of the source the guest would run twice.
 * @returns the unit that was disabled, or why it was not; `undefined` where no unit starts the guest at
 * boot.
 */
export async function disableUnit(
  run: RunProgram,
  unit: QemuProcess["unit"],
  persist: boolean,
): Promise<string | undefined> {
  if (!unit?.name.endsWith(".service")) return undefined;
  const systemctl = (verb: string) =>
    run(
      ["systemctl", ...(unit.scope === "user" ? ["--user"] : []), verb, "--quiet", "--", unit.name],
      { timeoutMs: SYSTEMCTL_MS },
    );
  try {
    if ((await systemctl("is-enabled")).code !== 0) return undefined;
    if (!persist) {
      return `${unit.name} still starts the guest at boot at the source, where it would run a second time. ` +
        `Run '${byHand(unit)}' there`;
    }
    const { code, stderr } = await systemctl("disable");
    if (code === 0) {
      return `${unit.name} is disabled at the source: the guest starts at the destination from now on`;
    }
    return notDisabled(unit, stderr.trim());
  } catch (error) {
    return notDisabled(unit, messageOf(error));
  }
}

type Unit = NonNullable<QemuProcess["unit"]>;

function byHand({ name, scope }: Unit): string {
  return `systemctl ${scope === "user" ? "--user " : ""}disable ${name}`;
}

function notDisabled(unit: Unit, why: string): string {
  return `${unit.name} still starts the guest at boot at the source: ${why}. Run '${
    byHand(unit)
  }' there`;
}
