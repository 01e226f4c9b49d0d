import type { ImageFormat } from "../../guest/mod.ts";
import type { LibvirtHost } from "./host.ts";

/** A qcow2 image grows in its device, bytes. */
const SPARE_BYTES = 8 << 20;
/** Major number of loop devices. */
const MAJOR = 7;

/** A block device of a host over one of its images. */
export class LoopDevice implements AsyncDisposable {
  /** As the machine has it. */
  readonly #node: string;

  /** @param device its path on the host. */
  static async attach(
    host: LibvirtHost,
    image: string,
    device: string,
    format: ImageFormat,
  ): Promise<LoopDevice> {
    const file = host.file(image);
    if (format === "qcow2") await Deno.truncate(file, (await Deno.stat(file)).size + SPARE_BYTES);
    const node = await losetup("--find", "--show", file);
    const loop = new LoopDevice(node);
    const minor = /\d+$/.exec(node)![0];
    const script = 'mkdir -p "${1%/*}" && rm -f "$1" && mknod -m 666 "$1" b "$2" "$3"';
    const argv = ["sh", "-c", script, "sh", device, String(MAJOR), minor];
    const { code, stderr } = await host.run(argv);
    if (code === 0) return loop;
    await loop[Symbol.asyncDispose]();
    throw new Error(`${host.name}: ${device}: ${stderr}`);
  }

  private constructor(node: string) {
    this.#node = node;
  }

  /** The kernel detaches it once no QEMU has it open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await losetup("--detach", this.#node);
  }
}

async function losetup(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("losetup", { args }).output();
  if (!success) throw new Error(`losetup: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}
