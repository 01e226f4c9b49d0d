/**
 * Which QEMUs a scenario runs, from the environment: `QEMU` for both ends, `QEMU_DEST` for the
 * destination's.
 */

/** The executable of an end. */
export function qemuBinary(side: "source" | "dest"): string {
  return (side === "dest" ? Deno.env.get("QEMU_DEST") : undefined) ?? Deno.env.get("QEMU") ??
    "qemu-system-x86_64";
}

/** The major version of QEMU that an executable prints. */
export function qemuMajor(binary: string): number {
  const { stdout } = new Deno.Command(binary, { args: ["--version"], stderr: "null" }).outputSync();
  const text = new TextDecoder().decode(stdout);
  const major = /version (\d+)\./.exec(text)?.[1];
  if (major === undefined) throw new Error(`${binary} --version printed "${text}"`);
  return Number(major);
}

let machine: string | undefined;

/** `VMFERRY_MACHINE`, else the newest q35 that the QEMUs of both ends have. */
export function machineType(): string {
  return machine ??= Deno.env.get("VMFERRY_MACHINE") ?? newestOfBoth();
}

function newestOfBoth(): string {
  const [source, dest] = [qemuBinary("source"), qemuBinary("dest")];
  // An alias such as `q35` is another machine in each version.
  if (source === dest) return "q35";
  const known = q35Versions(dest);
  const newest = q35Versions(source).filter((version) => known.includes(version))
    .sort((a, b) => a - b).at(-1);
  if (newest === undefined) throw new Error(`${source} and ${dest} have no q35 in common`);
  return `pc-q35-${Math.floor(newest / 100)}.${newest % 100}`;
}

/** Each as 100 times the major number and the minor one. */
function q35Versions(binary: string): number[] {
  const { stdout } = new Deno.Command(binary, { args: ["-machine", "help"], stderr: "null" })
    .outputSync();
  return [...new TextDecoder().decode(stdout).matchAll(/^pc-q35-(\d+)\.(\d+)\s/gm)]
    .map(([, major, minor]) => Number(major) * 100 + Number(minor));
}
