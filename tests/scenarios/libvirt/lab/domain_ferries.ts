/**
 * `vmferry receive --libvirt` and `vmferry domain` on the hosts of a lab.
 *
 * @module
 */
import type { HostState } from "../../support/host.ts";
import { assertExit, assertNone, type ScenarioContext } from "../../support/scenario.ts";
import type { JsonEvent } from "../../support/vmferry.ts";
import { assertAsBefore, hostState } from "./host_state.ts";
import type { HostVmferry } from "../../support/host_vmferry.ts";
import type { LibvirtHost } from "./host.ts";
import type { LibvirtLab } from "./lab.ts";

/** Both ends of a domain's migration. */
export interface DomainFerries {
  readonly receive: HostVmferry;
  readonly domain: HostVmferry;
  /** When the source's command was started, by `performance.now()`. */
  readonly startedAt: number;
}

/** How the ends are started. */
export interface FerryOptions {
  /** Of `vmferry domain`; those for virsh after `--`. */
  readonly args?: readonly string[];
  readonly receiveArgs?: readonly string[];
  /** The host that has the domain. Default: the lab's source. */
  readonly from?: LibvirtHost;
  /** A `receive` that still waits, because the source before was refused. Default: a new one. */
  readonly receive?: HostVmferry;
}

/** How many pairs have been started, to tell their logs apart. */
let started = 0;

/** Starts both ends over TCP; the destination listens before the source starts. */
export async function startDomainFerries(
  context: ScenarioContext,
  lab: LibvirtLab,
  name: string,
  options: FerryOptions = {},
): Promise<DomainFerries> {
  const { args = [], receiveArgs = [], from = lab.source } = options;
  const secret = `${context.dir}/domain-secret`;
  if (!options.receive) await Deno.writeTextFile(secret, crypto.randomUUID(), { mode: 0o600 });
  const to = lab.peerOf(from);
  const common = ["--json", "--secret-file", secret, "--insecure"];
  const number = ++started;
  const receive = options.receive ?? to.vmferry({
    name: `${number} receive`,
    args: [
      ...["receive", "--libvirt", ...common, "--listen", `tcp://${to.address}:0`],
      ...receiveArgs,
    ],
  });
  const address = await receive.address();
  const startedAt = performance.now();
  const domain = from.vmferry({
    name: `${number} domain`,
    args: ["domain", name, address, ...common, ...args],
  });
  return { receive, domain, startedAt };
}

/** Waits until both ends have migrated the domain. Returns the source's `result`. */
export async function assertMigrated(
  { domain, receive }: Pick<DomainFerries, "domain" | "receive">,
  timeoutMs?: number,
): Promise<JsonEvent> {
  await assertExit(domain, 0, timeoutMs);
  await assertExit(receive, 0, 20_000);
  for (const ferry of [domain, receive]) {
    const { outcome, error } = await ferry.waitEvent("result");
    if (outcome !== "migrated" || error !== null) {
      throw new Error(`${ferry.name}: got ${outcome}, ${JSON.stringify(error)}`);
    }
  }
  return await domain.waitEvent("result");
}

/**
 * Waits until the source has refused the domain for a reason; the destination waits for another source.
 * Returns the source's `result`; its error's `problems` has each reason.
 */
export async function assertDomainRefused(
  { domain }: DomainFerries,
  reason: RegExp,
): Promise<JsonEvent> {
  await assertExit(domain, 3, 30_000);
  const result = await domain.waitEvent("result");
  const text = JSON.stringify(result.error).replaceAll('\\"', '"');
  if (!reason.test(text)) throw new Error(`${domain.name}: got ${text}, expected ${reason}`);
  return result;
}

/** Both hosts' states. */
export interface LabState {
  readonly source: HostState;
  readonly destination: HostState;
}

/** Takes the states of both hosts. */
export async function labState({ source, destination }: LibvirtLab): Promise<LabState> {
  const states = await Promise.all([hostState(source), hostState(destination)]);
  return { source: states[0], destination: states[1] };
}

/**
 * Throws unless both hosts are as they were.
 *
 * @param but lines that match are not compared.
 */
export async function assertLabAsBefore(
  { source, destination }: LibvirtLab,
  before: LabState,
  but?: RegExp,
): Promise<void> {
  await assertAsBefore(source, before.source, but);
  await assertAsBefore(destination, before.destination, but);
}

/** What a domain of this name makes on a host on which it runs, beside its images. */
export function tracesOf(name: string): RegExp {
  const files = [
    `/run/libvirt/qemu/${name}\\.(pid|xml)`,
    `/run/libvirt/qemu/channel/ID-${name}`,
    `/var/lib/libvirt/qemu/(domain|channel/target/domain)-ID-${name}(/.*)?`,
  ];
  return new RegExp(
    `^(domain ${name}: |process qemu-system-x86|file (${files.join("|")})$)`,
  );
}

/** Throws unless only these ports listen on a host for TCP. */
export async function assertListens(host: LibvirtHost, ports: readonly number[]): Promise<void> {
  const { code, stdout, stderr } = await host.run(["ss", "-Hltn"]);
  if (code !== 0) throw new Error(`ss: ${stderr}`);
  const lines = stdout.split("\n").filter((line) => line.trim() !== "");
  const others = lines.filter((line) => {
    return !ports.some((port) => line.split(/\s+/)[3]?.endsWith(`:${port}`));
  });
  assertNone(others.map((line) => `${host.name} listens at ${line.trim()}`));
  if (lines.length < ports.length) {
    throw new Error(`${host.name} listens at ${lines.length} addresses, expected ${ports}`);
  }
}
