/** A QEMU of this machine. */
export interface Qemu {
  readonly binary: string;
  readonly version: string;
  readonly major: number;
  readonly x86: boolean;
}

/** What a program prints. */
export async function output(binary: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(binary, { args }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

/** Its own, and those that tools/qemu.sh fetched. */
export async function findQemus(): Promise<Qemu[]> {
  const tools = new URL("../../../.tools/", import.meta.url).pathname;
  const candidates = [
    ...["qemu-system-x86_64", "qemu-system-ppc64", "qemu-system-arm", "qemu-system-s390x"],
    ...["qemu-trixie", "qemu-sid"].map((name) => `${tools}${name}/qemu-system-x86_64`),
  ];
  const found: Qemu[] = [];
  for (const binary of candidates) {
    const text = await output(binary, "--version").catch(() => "");
    const version = /version (\d+)\.[\d.]+/.exec(text);
    const x86 = binary.endsWith("x86_64");
    if (version) found.push({ binary, version: version[0], major: Number(version[1]), x86 });
  }
  return found;
}
