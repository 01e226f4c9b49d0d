/**
 * Checks of the units of a guest.
 *
 * @module
 */
import { poll } from "../../support/waiting.ts";
import type { SystemdHost } from "./systemd_host.ts";

/** The unit in which a guest runs at the source. */
export const UNIT = "vm1.service";
/** The unit in which a launch starts it. */
export const TRANSIENT = "vmferry-vm1.service";
/** The unit that starts it at boot, after `--persist`. */
export const BOOT = "vmferry-vm1-boot.service";

/**
 * Throws unless a unit is as expected.
 *
 * @param expected what `is-active` and `is-enabled` print, such as `active enabled`.
 */
export async function assertUnit(host: SystemdHost, name: string, expected: string): Promise<void> {
  const found = `${await host.isActive(name)} ${await host.isEnabled(name)}`.trim();
  if (found !== expected) throw new Error(`${host.name}: ${name} is ${found}, not ${expected}`);
}

/** Waits for the end of a unit, and throws if systemd starts it again. */
export async function assertEnded(host: SystemdHost, name: string): Promise<void> {
  await poll(`${host.name}: ${name} to end`, async () => {
    const restarts = await host.show(name, "NRestarts");
    const state = await host.show(name, "SubState");
    if (restarts !== "0" || state === "auto-restart") {
      throw new Error(`${host.name}: systemd starts ${name} again`);
    }
    return await host.show(name, "MainPID") === "0" && ["dead", "failed"].includes(state) ||
      undefined;
  }, 30_000);
}

/** Throws unless so many QEMUs run on a host. */
export async function assertQemus(host: SystemdHost, expected: number): Promise<void> {
  const { stdout } = await host.run(["pgrep", "-c", "-f", "^[^ ]*qemu-system"]);
  if (Number(stdout) === expected) return;
  throw new Error(`${host.name}: ${stdout.trim()} QEMUs run, expected ${expected}`);
}
