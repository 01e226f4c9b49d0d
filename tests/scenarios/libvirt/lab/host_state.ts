import { assertUnchanged, filesIn, type HostState } from "../../support/host.ts";
import type { LibvirtHost } from "./host.ts";

/** Where libvirt, QEMU and vmferry make files on a host. */
const DIRECTORIES = ["/run", "/var/lib/libvirt", "/etc/libvirt"];

/**
 * Takes the state of a host, to compare it later: domains with their states, pools with their volumes,
 * networks, files, and processes by name.
 */
export async function hostState(host: LibvirtHost): Promise<HostState> {
  const lines: string[] = [];
  for (const [name, state] of await host.domains()) lines.push(`domain ${name}: ${state}`);
  for (const name of words(await host.virsh("net-list", "--all", "--name"))) {
    lines.push(`network ${name}`);
  }
  for (const pool of words(await host.virsh("pool-list", "--all", "--name"))) {
    lines.push(`pool ${pool}`);
    const { stdout } = await host.run(["virsh", "vol-list", pool]);
    for (const row of stdout.trim().split("\n").slice(2)) {
      lines.push(`volume ${row.trim().split(/\s+/)[0]} in ${pool}`);
    }
  }
  for (const directory of DIRECTORIES) {
    for (const file of await filesIn(host.file(directory))) {
      lines.push(`file ${directory}/${withoutId(file)}`);
    }
  }
  lines.push(...await processes(host));
  return [...new Set(lines)].sort();
}

/** Throws unless a host is as it was, see {@link assertUnchanged}; lines that match `but` are not compared. */
export async function assertAsBefore(
  host: LibvirtHost,
  before: HostState,
  but?: RegExp,
): Promise<void> {
  await assertUnchanged(host.name, before, () => hostState(host), but);
}

/** libvirt gives a domain another number at each start. */
function withoutId(file: string): string {
  return file.replace(/(\/domain-|\/channel\/)\d+-/, "$1ID-");
}

/** Programs that a migration starts; `timeout` and `ps` are the lab's. */
async function processes(host: LibvirtHost): Promise<string[]> {
  const { stdout } = await host.run(["ps", "-e", "-o", "comm="]);
  const own = new Set(["timeout", "ps", "cat", "bash", "nsenter"]);
  return words(stdout).filter((name) => !own.has(name)).map((name) => `process ${name}`);
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
