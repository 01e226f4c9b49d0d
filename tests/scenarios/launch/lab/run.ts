/**
 * `vmferry migrate --launch` on the hosts of a lab.
 *
 * @module
 */
import type { ReportedError } from "../../../../src/migrate/mod.ts";
import type { HostVmferry } from "../../support/host_vmferry.ts";
import { assertExit } from "../../support/scenario.ts";
import type { LabHost } from "../../support/lab_host.ts";
import { poll } from "../../support/waiting.ts";
import { type LabGuest, QMP } from "./guest.ts";
import { DESTINATION, type LaunchLab } from "./lab.ts";

/** Starts `vmferry migrate --launch` at the source. */
export function migrate(
  { source }: LaunchLab,
  args: readonly string[] = [],
  name = "migrate",
): HostVmferry {
  return source.vmferry({
    name,
    args: ["migrate", "--json", "--qmp", QMP, "--launch", ...args, DESTINATION],
  });
}

/** Waits for the end, and returns the error that it reports. Throws when the exit code is another one, or something was not undone. */
export async function assertFails(
  ferry: HostVmferry,
  code: number,
  reason: RegExp,
  timeoutMs = 30_000,
): Promise<ReportedError> {
  await assertExit(ferry, code, timeoutMs);
  const { error } = await ferry.waitEvent("result") as unknown as { error: ReportedError };
  if (!reason.test(`${error?.code}: ${error?.message}`)) {
    throw new Error(`${ferry.name}: got ${JSON.stringify(error)}, expected ${reason}`);
  }
  if (/not undone/i.test(error.message)) throw new Error(`${ferry.name}: ${error.message}`);
  return error;
}

/** Waits, after a kill, until a host's QEMU runs the guest or has ended. */
export async function waitSettled(guest: LabGuest, host: LabHost): Promise<"running" | "gone"> {
  return await poll(`${host.name}: QEMU to run the guest or to end`, async () => {
    const status = await guest.status(host).catch(() => "gone");
    return status === "running" || status === "gone" ? status : undefined;
  }, 60_000);
}
