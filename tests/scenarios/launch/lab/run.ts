/**
 * `vmferry migrate --launch` on the hosts of a lab.
 *
 * @module
 */
import type { HostVmferry } from "../../support/host_vmferry.ts";
import type { LabHost } from "../../support/lab_host.ts";
import { poll } from "../../support/waiting.ts";
import { type LabGuest, QMP } from "./guest.ts";
import { DESTINATION, type LaunchLab } from "./lab.ts";

/** Starts `vmferry migrate --launch` at the source, for the guest with this QMP socket. */
export function migrate(
  { source }: LaunchLab,
  args: readonly string[] = [],
  name = "migrate",
  { qmp = QMP, to = DESTINATION }: { readonly qmp?: string; readonly to?: string } = {},
): HostVmferry {
  return source.vmferry({
    name,
    args: ["migrate", "--json", "--qmp", qmp, "--launch", ...args, to],
  });
}

/** Sends a signal to the vmferry that was carried to the destination. */
export async function signalReceive({ destination }: LaunchLab, signal: string): Promise<void> {
  // Only processes of this host are in its PID namespace.
  await destination.must("pkill", `-${signal}`, "-f", "[v]mferry.* receive ");
}

/** Waits, after a kill, until a host's QEMU runs the guest or has ended. */
export async function waitSettled(guest: LabGuest, host: LabHost): Promise<"running" | "gone"> {
  return await poll(`${host.name}: QEMU to run the guest or to end`, async () => {
    const status = await guest.status(host).catch(() => "gone");
    return status === "running" || status === "gone" ? status : undefined;
  }, 60_000);
}
