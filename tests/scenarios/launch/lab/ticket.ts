import type { HostVmferry } from "../../support/host_vmferry.ts";
import { QMP } from "./guest.ts";
import type { LaunchLab } from "./lab.ts";

/** Where a source without ssh may have images. */
export const TICKET_DIR = "/var/lib/vms";

/** Starts `vmferry receive --launch` at the destination and, with its ticket, `migrate` at the source. */
export async function launchByTicket(
  { source, destination, shared }: LaunchLab,
  flags: readonly string[] = [],
): Promise<{ receive: HostVmferry; ferry: HostVmferry }> {
  const ticket = `${shared}/${crypto.randomUUID()}`;
  const common = ["--json", "--ticket-file", ticket];
  const receive = destination.vmferry({
    name: ["receive", ...flags].join(" "),
    args: [
      ...["receive", "--launch", ...flags, ...common],
      ...["--listen", `tcp://${destination.address}:0`],
    ],
  });
  await receive.address();
  const ferry = source.vmferry({
    name: ["migrate", ...flags].join(" "),
    args: ["migrate", ...common, "--qmp", QMP, "--launch"],
  });
  return { receive, ferry };
}
