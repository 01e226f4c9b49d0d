import type { Qemu } from "../support/qemu.ts";
import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { listening } from "../../../tools/bench/ground.ts";
import {
  assertExit,
  assertRefused,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";

/** The source's devices, and what a destination has in place of one of them. */
const DEVICES: Readonly<Record<string, readonly string[]>> = {
  cpu: ["-cpu", "Nehalem"],
  smp: ["-smp", "1,maxcpus=4"],
  rng: ["-device", "virtio-rng-pci,id=rng0,addr=4"],
  scsi: ["-device", "virtio-scsi-pci,id=scsi0,num_queues=4,addr=5"],
  nic: ["-device", "e1000,id=nic0,addr=6,mac=52:54:00:00:00:01,romfile="],
  rom: ["-device", "virtio-net-pci,id=nic1,addr=7,romsize=262144,mac=52:54:00:00:00:02"],
  vga: ["-device", "VGA,id=vga0,addr=8"],
  serial: ["-device", "isa-serial,id=serial1,iobase=0x2f8,irq=3,index=1"],
  disk: ["-device", "virtio-blk-pci,id=vd0,drive=d0,addr=9"],
};

/** Differences of one destination each: what it has instead, and what is said. */
const CASES: readonly (readonly [Partial<typeof DEVICES>, RegExp])[] = [
  [{ rng: [] }, /^the destination has no device virtio-rng-pci at 0000:00:04\.0 \(id rng0\)/],
  [
    { scsi: ["-device", "virtio-scsi-pci,id=scsi0,num_queues=1,addr=5"] },
    /num_queues=4 at the source/,
  ],
  [
    { nic: ["-device", "virtio-net-pci,id=nic0,addr=6,mac=52:54:00:00:00:01,romfile="] },
    /^device e1000 at 0000:00:06\.0 \(id nic0\) of the source is virtio-net-pci at/,
  ],
  [
    { nic: ["-device", "e1000,id=nic0,addr=a,mac=52:54:00:00:00:01,romfile="] },
    /^device e1000 \(id nic0\) is at 0000:00:06\.0 at the source and at 0000:00:0a\.0 at the dest/,
  ],
  [
    { rom: ["-device", "virtio-net-pci,id=nic1,addr=7,romsize=524288,mac=52:54:00:00:00:02"] },
    /RAM block 0000:00:07\.0\/virtio-net-pci\.rom has 262144 bytes at the source and 524288/,
  ],
  [{ vga: [] }, /^the destination has no device VGA at 0000:00:08\.0 \(id vga0\)/],
  [
    { serial: [] },
    /^the destination has no device isa-serial at isa\.0 I\/O port 0x2f8 \(id serial1\)/,
  ],
  [{ smp: ["-smp", "1,maxcpus=2"] }, /^maxcpus is 4 at the source and 2 at the destination/],
  [
    { cpu: ["-cpu", "qemu64"] },
    /^CPU Nehalem at the source, qemu64 at the destination: .* lacks .*ssse3/,
  ],
  [
    {
      disk: [
        "-device",
        "virtio-scsi-pci,id=c0,addr=9",
        "-device",
        "scsi-hd,id=vd0,drive=d0,bus=c0.0",
      ],
    },
    /^device virtio-blk-pci at 0000:00:09\.0 \(id vd0\) of the source is virtio-scsi-pci at/,
  ],
];

interface Finding {
  readonly message: string;
}

/** Whatever would end the destination's QEMU after all is copied is named before the first byte. */
export const scenario: Scenario = {
  name: "mismatch",
  about: "devices, CPUs and RAM that differ are refused by name before a byte of a disk is copied",
  timeoutMs: 240_000,
  slow: true,
  async run(context) {
    await comparesMachines(context);
    await outsideData(context);
    await overridden(context);
    return `${CASES.length} differences named`;
  },
};

/** One source against destinations that differ in one thing each, and against an equal one. */
async function comparesMachines(context: ScenarioContext): Promise<void> {
  const source = await machine(context, "source", {});
  const checked = async (name: string, changed: Partial<typeof DEVICES>) => {
    const destination = await machine(context, name, changed);
    const link = `unix:///${context.dir}/${name}.link`;
    const receive = context.vmferry({
      name: `receive-${name}`,
      args: [
        ...["receive", "--json", "--qmp", destination.qmpSocket, "--listen", link],
        ...["--run-dir", `${context.dir}/run-${name}`],
      ],
    });
    await receive.address();
    const check = context.vmferry({
      name: `check-${name}`,
      args: ["check", "--json", "--qmp", source.qmpSocket, link],
    });
    const code = await check.exit();
    const found = await check.waitEvent("check");
    receive.signal("SIGTERM");
    await receive.exit();
    await destination.quit();
    return { code, problems: found.problems as Finding[], found };
  };

  context.note("the same machine");
  const same = await checked("same", {});
  const silent = ["problems", "warnings", "differences"].every((kind) =>
    (same.found[kind] as unknown[]).length === 0
  );
  // Of the host, not of the machine.
  const buffer = Number(await Deno.readTextFile("/proc/sys/net/core/wmem_default"));
  const expected = buffer < 2 * MiB ? /^UNIX sockets of this host have .*wmem_default/ : /^$/;
  const noted = expected.test((same.found.notes as string[]).join("\n"));
  if (same.code !== 0 || !silent || !noted) {
    throw new Error(`Two equal machines: exit ${same.code}, ${JSON.stringify(same.found)}`);
  }
  for (const [i, [changed, expected]] of CASES.entries()) {
    context.note(`${Object.keys(changed)} differs`);
    const { code, problems } = await checked(`dest${i}`, changed);
    if (code !== 3 || !problems.some(({ message }) => expected.test(message))) {
      throw new Error(`Exit ${code}, ${JSON.stringify(problems)}, expected ${expected}`);
    }
  }
  await source.quit();
}

/** Data that no mirror sees is not left behind in silence. */
async function outsideData(context: ScenarioContext): Promise<void> {
  context.note("data outside the block layer");
  const image = `${context.dir}/outside.raw`;
  await Deno.writeFile(image, new Uint8Array(1 << 20));
  const socket = `${context.dir}/vhost.sock`;
  const daemon = new Deno.Command("qemu-storage-daemon", {
    args: [
      ...["--blockdev", `driver=file,node-name=f,filename=${image}`],
      ...[
        "--export",
        `vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=${socket},writable=on`,
      ],
    ],
    stdin: "null",
    stdout: "null",
  }).spawn();
  context.use({
    async [Symbol.asyncDispose]() {
      daemon.kill();
      await daemon.status;
    },
  });
  await listening(socket);
  const qemu = await context.qemu({
    name: "outside",
    disks: [],
    paused: true,
    extra: [
      ...["-m", "64,maxmem=1G", "-object", "memory-backend-memfd,id=ram,size=64M,share=on"],
      ...["-machine", "memory-backend=ram", "-chardev", `socket,id=v,path=${socket}`],
      ...["-device", "vhost-user-blk-pci,chardev=v,id=vu0"],
      ...["-object", `memory-backend-file,id=pm,mem-path=${image}.pm,size=2M,share=on`],
      ...["-device", "virtio-pmem-pci,memdev=pm,id=pm0"],
    ],
  });
  const check = async (...options: string[]) => {
    const run = context.vmferry({
      name: "check-outside",
      args: ["check", "--json", "--qmp", qemu.qmpSocket, ...options],
    });
    return { code: await run.exit(), found: await run.waitEvent("check") };
  };
  const refused = await check();
  const named = (refused.found.problems as Finding[]).map(({ message }) => message).join("\n");
  if (refused.code !== 3 || !/vu0/.test(named) || !/pm0/.test(named)) {
    throw new Error(`Exit ${refused.code}: ${named}`);
  }
  const allowed = await check("--allow", "outside-data");
  if (allowed.code !== 0) throw new Error(`Allowed: exit ${allowed.code}`);
  await qemu.quit();
}

/** `migrate` refuses as `check` does, touches nothing, and goes on where the user says so. */
async function overridden(context: ScenarioContext): Promise<void> {
  context.note("migrate, and --allow");
  const pair = await Pair.start(context, {
    bytes: 16 << 20,
    guest: { ring: { start: 2048, length: 4096, runId: 5n } },
    destinationExtra: ["-device", "virtio-rng-pci,addr=1e"],
  });
  const receive = pair.receive();
  const address = await receive.address();
  await assertRefused(
    pair.migrate(address),
    /the source has no device virtio-rng-pci .*\[device\]/,
  );
  await assertRefused(pair.migrate(address, ["--allow", "cpu-model"]), /\[device\]/);
  await pair.assertStillAtSource({ receiving: true });
  const migrate = pair.migrate(address, ["--allow", "device"]);
  await assertExit(migrate, 0);
  await assertExit(receive, 0);
  await migrate.waitEvent("warning", (e) => e.code === "device");
  await pair.assertArrived();
}

async function machine(
  context: ScenarioContext,
  name: string,
  changed: Partial<typeof DEVICES>,
): Promise<Qemu> {
  const path = `${context.dir}/${name}.raw`;
  await Deno.writeFile(path, new Uint8Array(1 << 20));
  const node = { driver: "raw", "node-name": "d0", file: { driver: "file", filename: path } };
  return await context.qemu({
    name,
    disks: [],
    memoryMiB: 32,
    paused: true,
    incoming: name !== "source",
    extra: [
      ...["-blockdev", JSON.stringify(node)],
      ...Object.keys(DEVICES).flatMap((kind) => changed[kind] ?? DEVICES[kind]!),
    ],
  });
}
