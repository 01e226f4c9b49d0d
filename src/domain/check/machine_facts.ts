import { type Domain, type Virsh, VirshError } from "../../libvirt/mod.ts";
import { machineArguments } from "./compare_cpu.ts";
import type { MachineFacts } from "./machine_rules.ts";

/** How long one answer may take, ms: libvirt may have to start the QEMU once. */
const ANSWER_MS = 30_000;

/**
 * Asks the destination's libvirt for the domain's machine. What exactly it refuses shows from questions
 * with less and less in them, not from its words.
 */
export async function machineFacts(
  domain: Domain,
  destination: Virsh,
  signal: AbortSignal,
): Promise<MachineFacts> {
  const { emulator, arch, machine, virtType } = domain;
  const ask = (args: readonly string[]) => refusalOf(destination, args, signal);
  const facts = { emulator, arch, machine, virtType };
  const refusal = await ask(machineArguments(domain, "--emulatorbin"));
  if (refusal === null) {
    return { ...facts, refusal, emulatorRefusal: null, typeRefusal: null, machines: [] };
  }
  const less = ["--arch", arch, ...(emulator === null ? [] : ["--emulatorbin", emulator])];
  const [emulatorRefusal, typeRefusal, capabilities] = await Promise.all([
    ask(less),
    ask([...less, "--virttype", virtType]),
    destination.ask(["capabilities"], { timeoutMs: ANSWER_MS, signal }),
  ]);
  return {
    ...{ ...facts, refusal, emulatorRefusal, typeRefusal },
    machines: machinesOf(capabilities, arch),
  };
}

/**
 * The machine types of an architecture in `virsh capabilities`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { machinesOf } from "./machine_facts.ts";
 *
 * const xml = `<guest><arch name='x86_64'><machine maxCpus='255'>pc-q35-7.2</machine></arch></guest>`;
 * assertEquals(machinesOf(xml, "x86_64"), ["pc-q35-7.2"]);
 * assertEquals(machinesOf(xml, "aarch64"), []);
 * ```
 */
export function machinesOf(capabilities: string, arch: string): string[] {
  const guests = capabilities.split("<guest>").slice(1);
  const own = guests.filter((guest) => /<arch name=['"]([^'"]*)/.exec(guest)?.[1] === arch);
  const found = own.flatMap((guest) =>
    [...guest.matchAll(/<machine[^>]*>([^<]+)<\/machine>/g)].map((match) => match[1]!)
  );
  return [...new Set(found)];
}

async function refusalOf(
  virsh: Virsh,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string | null> {
  try {
    await virsh.ask(["domcapabilities", ...args], { timeoutMs: ANSWER_MS, signal });
    return null;
  } catch (error) {
    if (error instanceof VirshError) return error.text;
    throw error;
  }
}
