import { decodeBase64, encodeBase64 } from "@std/encoding/base64";
import { systemClock, withDeadline } from "../../../src/io/mod.ts";
import { type Image, makeEmptyImage } from "../guest/mod.ts";
import type { Qemu } from "../support/qemu.ts";
import type { ScenarioContext } from "../support/scenario.ts";
import { machineType, qemuBinary } from "./versions.ts";
import { poll } from "../support/waiting.ts";

/** What `make guest` makes. */
const BUILT = new URL("../../../.tools/guest/", import.meta.url).pathname;
/** Programs that work in the guest, and the one that looks for faults. */
const LOADS = new URL("../../guests/linux/loads/", import.meta.url);
/** The images, in the order of the guest's /dev/vda and /dev/vdb. */
const DISKS = ["root", "data"] as const;
const ARGUMENTS = "root=/dev/vda rw console=ttyS0 init=/usr/local/sbin/init net.ifnames=0";

/** What a script in the guest came to. */
export interface ScriptResult {
  readonly status: number;
  readonly output: string;
}

/** One of the QEMUs that a Linux guest lives in, with the host's end of the guest's second serial port. */
export class LinuxHome {
  readonly qemu: Qemu;
  readonly images: readonly Image[];
  readonly #answers: ReadableStreamDefaultReader<string>;
  readonly #port: Deno.UnixConn;
  #rest = "";
  #id = 0;

  /**
   * Starts a QEMU.
   *
   * @param n 0 for the guest's first home, which boots; then 1, 2, and so on, which wait for it.
   * @param more arguments for QEMU.
   * @throws {Error} when `make guest` was not run.
   */
  static async start(
    context: ScenarioContext,
    n: number,
    more: readonly string[] = [],
  ): Promise<LinuxHome> {
    const images = DISKS.map((name) => image(context, name, n));
    for (const [i, { path }] of images.entries()) {
      const built = `${BUILT}${DISKS[i]}.raw`;
      const { size } = await Deno.stat(built).catch(() => {
        throw new Error(`There is no ${built}: run 'make guest' first`);
      });
      if (n > 0) await makeEmptyImage(images[i]!, size);
      else await copySparse(built, path);
    }
    const port = `${context.dir}/port-${n}.sock`;
    const qemu = await context.qemu({
      name: `linux-${n}`,
      disks: [],
      incoming: n > 0,
      memoryMiB: 512,
      machine: machineType(),
      binary: qemuBinary(n % 2 === 0 ? "source" : "dest"),
      extra: [
        ...images.flatMap(diskArguments),
        ...["-smp", "2", "-device", "virtio-rng-pci,id=rng", "-no-reboot"],
        ...["-kernel", `${BUILT}kernel`, "-initrd", `${BUILT}initrd`, "-append", ARGUMENTS],
        ...["-chardev", `socket,id=port,path=${port},server=on,wait=off`],
        ...["-serial", "chardev:port"],
        ...more,
      ],
    });
    const connection = context.use(await Deno.connect({ transport: "unix", path: port }));
    return new LinuxHome(qemu, images, connection);
  }

  private constructor(qemu: Qemu, images: readonly Image[], port: Deno.UnixConn) {
    this.qemu = qemu;
    this.images = images;
    this.#port = port;
    this.#answers = port.readable.pipeThrough(new TextDecoderStream()).getReader();
  }

  /**
   * Waits until the guest's init has come up.
   *
   * @throws {Error} also as soon as QEMU stops it: a KVM without hardware support can't run every kernel.
   */
  async booted(timeoutMs: number): Promise<void> {
    const stopped = this.qemu.events.waitFor("a stop", (e) => e.event === "STOP", timeoutMs)
      .then(async () => {
        const status = await this.qemu.status();
        throw new Error(`QEMU says "${status}" as the guest boots: try VMFERRY_ACCEL=tcg`);
      });
    stopped.catch(() => {});
    const answer = Promise.race([this.#answer(0), stopped]);
    await withDeadline(systemClock, timeoutMs, "the guest to boot", answer);
  }

  /** Runs a script for bash in the guest. */
  async run(script: string, timeoutMs = 60_000): Promise<ScriptResult> {
    const id = ++this.#id;
    const line = `${id} ${encodeBase64(script)}\n`;
    const bytes = new TextEncoder().encode(line);
    for (let done = 0; done < bytes.length;) done += await this.#port.write(bytes.subarray(done));
    const what = `the guest to answer "${script.slice(0, 60)}"`;
    return await withDeadline(systemClock, timeoutMs, what, this.#answer(id));
  }

  /** Runs a script that must succeed; returns what it printed. */
  async print(script: string, timeoutMs?: number): Promise<string> {
    const { status, output } = await this.run(script, timeoutMs);
    if (status !== 0) throw new Error(`"${script}" ended with ${status} in the guest: ${output}`);
    return output.trim();
  }

  /** Puts the loads where the guest finds its programs. */
  async installLoads(): Promise<void> {
    for (const { name } of Deno.readDirSync(LOADS)) {
      const text = encodeBase64(await Deno.readTextFile(new URL(name, LOADS)));
      const path = `/usr/local/sbin/${name}`;
      await this.print(`base64 -d <<<${text} >${path} && chmod 755 ${path}`);
    }
  }

  /** Waits until the counters in these files of the guest have grown by as much. */
  async waitGrowth(files: Readonly<Record<string, number>>, timeoutMs: number): Promise<void> {
    const names = Object.keys(files);
    const read = async () =>
      (await this.print(names.map((name) => `cat /run/${name} 2>/dev/null || echo 0`).join(";")))
        .split("\n").map(Number);
    const before = await read();
    await poll(
      `${names.join(", ")} of the guest to grow`,
      async () => {
        const now = await read();
        return names.every((name, i) => now[i]! >= before[i]! + files[name]!) || undefined;
      },
      timeoutMs,
      500,
    );
  }

  /** How far the guest's clock is ahead of this host's, ms: by the quickest of some answers. */
  async clockAheadMs(): Promise<number> {
    let best = { trip: Infinity, ahead: NaN };
    for (let i = 0; i < 10; i++) {
      const before = Date.now();
      const guest = Number(await this.print("date +%s%3N"));
      const trip = Date.now() - before;
      if (trip < best.trip) best = { trip, ahead: guest - before - trip / 2 };
    }
    return best.ahead;
  }

  async #answer(id: number): Promise<ScriptResult> {
    while (true) {
      const end = this.#rest.indexOf("\n");
      if (end < 0) {
        const { value, done } = await this.#answers.read();
        if (done) throw new Error("The guest's serial port was closed");
        this.#rest += value;
        continue;
      }
      const [which, status, text = ""] = this.#rest.slice(0, end).split(" ");
      this.#rest = this.#rest.slice(end + 1);
      if (Number(which) !== id) continue;
      return { status: Number(status), output: new TextDecoder().decode(decodeBase64(text)) };
    }
  }
}

function image(context: ScenarioContext, name: string, n: number): Image {
  return { path: `${context.dir}/${name}-${n}.raw`, format: "raw" };
}

/** Without a bootindex: -kernel has the first one. */
function diskArguments({ path, format }: Image, i: number): string[] {
  const file = { driver: "file", filename: path };
  return [
    ...["-blockdev", JSON.stringify({ driver: format, "node-name": `disk${i}`, file })],
    ...["-device", `virtio-blk-pci,id=vd${i},drive=disk${i}`],
  ];
}

async function copySparse(from: string, to: string): Promise<void> {
  const args = ["--sparse=always", from, to];
  const { success } = await new Deno.Command("cp", { args }).output();
  if (!success) throw new Error(`${from} could not be copied to ${to}`);
}
