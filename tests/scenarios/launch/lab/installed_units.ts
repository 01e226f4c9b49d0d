/**
 * What `make install` puts on a host of the lab, and the unit that receives a guest there.
 *
 * @module
 */
import { project } from "../../../../tools/run.ts";
import { vmferryPath } from "../../support/vmferry.ts";
import { poll } from "../../support/waiting.ts";
import type { SystemdHost } from "./systemd_host.ts";

/** The instance of the installed unit. */
export const RECEIVE_UNIT = "vmferry-receive@vm1.service";
/** Where it leaves its ticket. */
export const UNIT_TICKET = "/run/vm1.ticket";

/** Installs the program and its units below /usr/local of a host. */
export async function installUnits(host: SystemdHost): Promise<void> {
  const { success, stderr } = await new Deno.Command(project("tools/package/install.sh"), {
    args: ["install"],
    env: { DESTDIR: host.file("/usr/local/stage"), PROGRAM: await Deno.realPath(vmferryPath()) },
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  await host.must("cp", "-rT", "/usr/local/stage/usr/local", "/usr/local");
  await host.must("cp", "-rT", "/usr/local/stage/etc/vmferry", "/etc/vmferry");
  await host.must("systemctl", "daemon-reload");
}

/** Writes the configuration of an instance. */
export async function configureUnit(
  host: SystemdHost,
  name: string,
  args: readonly string[],
): Promise<void> {
  const text = `VMFERRY_ARGS=${args.join(" ")}\n`;
  await Deno.writeTextFile(host.file(`/etc/vmferry/${name}.conf`), text);
}

/** The ticket of {@link RECEIVE_UNIT}, once it listens. */
export async function ticketOf(host: SystemdHost): Promise<string> {
  return await poll("the ticket", async () => {
    const unit = await host.isActive(RECEIVE_UNIT);
    if (unit === "failed") {
      throw new Error(await host.must("journalctl", "-u", RECEIVE_UNIT, "-n", "20"));
    }
    return await Deno.readTextFile(host.file(UNIT_TICKET)).catch(() => undefined);
  }, 60_000);
}

/** The end of the log of a unit. */
export async function lastWords(host: SystemdHost, unit: string): Promise<string> {
  return await host.must("journalctl", "--no-pager", "-o", "cat", "-n", "20", "-u", unit);
}
