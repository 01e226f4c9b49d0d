import type { Qemu } from "../support/qemu.ts";
import {
  assertExit,
  assertNone,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";

/** A machine that QEMU emulates. */
interface Tried {
  readonly name: string;
  /** QEMU of that architecture; an x86 one is what `QEMU` and `QEMU_DEST` name. */
  readonly program?: string;
  /** Debian's package that has it. */
  readonly debian: string;
  readonly machine: string;
  readonly cpu?: string;
  /** The disk's device; its drive is `d0`, its id `vd0`. */
  readonly disk: string;
  /** A kernel, where the firmware would end QEMU for want of something to boot. */
  readonly kernel?: Uint8Array;
}

const MACHINES: readonly Tried[] = [
  x86("x86 q35", "q35", "virtio-blk-pci"),
  x86("x86 i440fx", "pc", "virtio-blk-pci"),
  x86("x86 microvm", "microvm", "virtio-blk-device"),
  {
    ...{ name: "aarch64 virt", program: "qemu-system-aarch64", debian: "qemu-system-arm" },
    ...{ machine: "virt", cpu: "cortex-a57", disk: "virtio-blk-pci" },
  },
  {
    ...{ name: "s390x", program: "qemu-system-s390x", debian: "qemu-system-misc" },
    ...{ machine: "s390-ccw-virtio", disk: "virtio-blk-ccw", kernel: s390Loop() },
  },
  {
    ...{ name: "pseries", program: "qemu-system-ppc64", debian: "qemu-system-ppc" },
    ...{ machine: "pseries", disk: "virtio-blk-pci" },
  },
  {
    ...{ name: "riscv64 virt", program: "qemu-system-riscv64", debian: "qemu-system-misc" },
    ...{ machine: "virt", disk: "virtio-blk-pci" },
  },
];

function x86(name: string, machine: string, disk: string): Tried {
  return { name, debian: "qemu-system-x86", machine, disk };
}

/** QEMU loads a raw kernel at 0 and enters it at 64 KiB; there is `j .`, a jump to itself. */
function s390Loop(): Uint8Array {
  const image = new Uint8Array(128 << 10);
  image.set([0xa7, 0xf4, 0, 0], 64 << 10);
  return image;
}

const BYTES = 8 << 20;

/** What the firmware does is all that runs; the disk holds a pattern. */
export const scenario: Scenario = {
  name: "machines",
  about:
    "guests of other machine types and architectures migrate with a disk between equal QEMUs (TCG)",
  timeoutMs: 900_000,
  long: true,
  async run(context) {
    const faults: string[] = [];
    for (const tried of MACHINES) {
      const outcome = await cross(context, tried).catch((error) => {
        faults.push(`${tried.name}: ${error.message}`);
        return "FAILED";
      });
      console.log(`     ${tried.name.padEnd(16)} ${outcome}`);
    }
    assertNone(faults);
    return `${MACHINES.length} machines`;
  },
};

async function cross(context: ScenarioContext, tried: Tried): Promise<string> {
  context.note(tried.name);
  const pattern = new Uint8Array(BYTES).map((_, i) => i * 31 + (i >> 12));
  const source = await start(context, tried, "source", pattern);
  const destination = await start(context, tried, "dest", new Uint8Array(BYTES));
  const id = tried.name.replaceAll(" ", "-");
  const link = `unix:///${context.dir}/${id}.link`;
  const receive = context.vmferry({
    name: `receive ${id}`,
    args: [
      ...["receive", "--json", "--qmp", destination.qmpSocket, "--listen", link],
      ...["--run-dir", `${context.dir}/r-${id}`],
    ],
  });
  await receive.address();
  const migrate = context.vmferry({
    name: `migrate ${id}`,
    args: [
      ...["migrate", "--json", "--qmp", source.qmpSocket, "--run-dir", `${context.dir}/m-${id}`],
      link,
    ],
  });
  await assertExit(migrate, 0, 120_000);
  await assertExit(receive, 0);
  const status = await destination.status();
  if (status !== "running") throw new Error(`The destination is ${status}, expected running`);
  const { qemu } = await destination.execute<
    { qemu: { major: number; minor: number; micro: number } }
  >(
    "query-version",
  );
  await Promise.all([source.quit(), destination.quit()]);
  const arrived = await Deno.readFile(`${context.dir}/${id}-dest.raw`);
  const wrong = pattern.findIndex((byte, i) => arrived[i] !== byte);
  if (wrong >= 0) throw new Error(`The disk differs from byte ${wrong} on`);
  return `crosses, ${status}: QEMU ${qemu.major}.${qemu.minor}.${qemu.micro}`;
}

async function start(
  context: ScenarioContext,
  tried: Tried,
  name: "source" | "dest",
  content: Uint8Array,
): Promise<Qemu> {
  const path = `${context.dir}/${tried.name.replaceAll(" ", "-")}-${name}.raw`;
  await Deno.writeFile(path, content);
  const kernel = `${context.dir}/${tried.name}.kernel`;
  if (tried.kernel) await Deno.writeFile(kernel, tried.kernel);
  const node = { driver: "raw", "node-name": "d0", file: { driver: "file", filename: path } };
  try {
    return await context.qemu({
      ...{ name, disks: [], memoryMiB: 256, accel: "tcg" },
      ...(tried.program ? { binary: tried.program } : {}),
      machine: tried.machine,
      incoming: name === "dest",
      extra: [
        ...(tried.cpu ? ["-cpu", tried.cpu] : []),
        ...(tried.kernel ? ["-kernel", kernel] : []),
        ...["-blockdev", JSON.stringify(node), "-device", `${tried.disk},drive=d0,id=vd0`],
      ],
    });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`there is no ${tried.program ?? "QEMU"}: install Debian's ${tried.debian}`);
  }
}
