import { filesIn } from "../../support/host.ts";
import { assertNone } from "../../support/scenario.ts";
import { poll } from "../../support/waiting.ts";
import type { LibvirtHost } from "./host.ts";

/** Where libvirt, QEMU and vmferry make files on a host. */
const DIRECTORIES = ["/run", "/var/lib/libvirt", "/etc/libvirt"];

/**
 * What a migration could leave on a host, a line each: domains with their states, pools with their
 * volumes, networks, files, and processes by name.
 */
export type HostState = readonly string[];

/** Takes the state of a host, to compare it later. */
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

/**
 * The difference of two states, a sentence each.
 *
 * @param but lines that match are not compared.
 */
export function stateDifference(
  host: LibvirtHost,
  before: HostState,
  after: HostState,
  but?: RegExp,
): string[] {
  const missing = (from: HostState, among: HostState) =>
    from.filter((line) => !among.includes(line) && !but?.test(line));
  return [
    ...missing(after, before).map((line) => `${host.name}: left: ${line}`),
    ...missing(before, after).map((line) => `${host.name}: gone: ${line}`),
  ];
}

/**
 * Throws unless a host is as it was. Waits up to 10 s for processes that are ending.
 *
 * @param but lines that match are not compared.
 */
export async function assertAsBefore(
  host: LibvirtHost,
  before: HostState,
  but?: RegExp,
): Promise<void> {
  let faults: string[] = [];
  const same = async () => {
    faults = stateDifference(host, before, await hostState(host), but);
    return faults.length === 0 || undefined;
  };
  await poll(`${host.name} to be as before`, same, 10_000, 500).catch((error) => {
    assertNone(faults);
    throw error;
  });
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
