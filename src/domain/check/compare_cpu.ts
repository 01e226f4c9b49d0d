import { type RunProgram } from "../../host/mod.ts";
import { type Domain, libvirtText, type Virsh } from "../../libvirt/mod.ts";
import type { CpuComparison } from "./machine_rules.ts";

/** How long a comparison may take, ms: libvirt may have to start the QEMU once. */
const COMPARE_MS = 30_000;
/** Architectures whose CPUs libvirt compares (virQEMUCaps, libvirt 6.8 to 11). */
const COMPARABLE = /^(x86_64|i[3-6]86|s390x)$/;

/** What a comparison needs. */
export interface CompareCpuOptions {
  readonly source: Virsh;
  readonly destination: Virsh;
  readonly run: RunProgram;
  readonly signal: AbortSignal;
}

/**
 * Has the destination's libvirt compare the domain's CPU with the one that its hypervisor offers. The CPU
 * of a live domain has each feature that the guest sees. A CPU that is the host's own is compared as
 * libvirt describes it at the source.
 *
 * @param domain the live domain, as it would be started at the destination.
 * @throws {VirshError} when the source's libvirt does not describe its CPU.
 */
export async function compareCpu(
  domain: Domain,
  options: CompareCpuOptions,
): Promise<CpuComparison> {
  const { cpuXml, cpuMode, arch } = domain;
  if (cpuXml === null || cpuMode === null) return { result: "none" };
  if (!COMPARABLE.test(arch)) {
    return { result: "unknown", text: `libvirt compares no CPUs of the architecture ${arch}` };
  }
  const { source, destination, signal } = options;
  const describe = (virsh: Virsh) =>
    virsh.ask(["domcapabilities", ...machineArguments(domain, "--emulatorbin")], {
      signal,
      timeoutMs: COMPARE_MS,
    });
  const cpu = cpuMode === "custom" ? cpuXml : await describe(source);
  const found = await compare(cpu, domain, options);
  if (found.result !== "unknown") return found;
  // An error: libvirt cannot compare at all, or does not know this CPU.
  const own = await compare(await describe(destination), domain, options);
  return own.result === "unknown" ? found : { result: "incompatible", text: found.text };
}

/** The options of virsh that name the machine. */
export function machineArguments(domain: Domain, emulatorOption: string): string[] {
  const { virtType, arch, machine, emulator } = domain;
  return [
    ...["--virttype", virtType, "--arch", arch, "--machine", machine],
    ...(emulator === null ? [] : [emulatorOption, emulator]),
  ];
}

async function compare(
  cpu: string,
  domain: Domain,
  { destination, run, signal }: CompareCpuOptions,
): Promise<CpuComparison> {
  // Not by Virsh.call: only the two outputs tell an incompatible CPU from an error.
  const ask = (...more: string[]) =>
    run([
      ...["virsh", "--quiet", "--connect", destination.uri],
      ...["hypervisor-cpu-compare", "--file", "/proc/self/fd/0"],
      ...[...machineArguments(domain, "--emulator"), ...more],
    ], { timeoutMs: COMPARE_MS, signal, input: cpu });
  const { code, stderr } = await ask();
  if (code === 0) return { result: "compatible" };
  const text = libvirtText(stderr);
  if (text !== "") return { result: "unknown", text };
  const detailed = libvirtText((await ask("--error")).stderr);
  return { result: "incompatible", text: detailed || "the CPU is incompatible" };
}
