import { Pair } from "../pair/pair.ts";
import type { Qemu } from "../support/qemu.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const PORTS = ["port1", "port2"].flatMap((id, i) => [
  ...["-device", `pcie-root-port,id=${id},chassis=${i + 1},addr=1${"cd"[i]}`],
]);
const BYTES = 4 << 20;

/** A machine that changes during the copy no longer matches the destination's. */
export const scenario: Scenario = {
  name: "hotplug",
  about:
    "a disk or device that is plugged during the copy fails it by name, and the next try includes it",
  timeoutMs: 180_000,
  async run(context) {
    const pair = await Pair.start(context, {
      bytes: 48 << 20,
      sourceExtra: PORTS,
      destinationExtra: PORTS,
    });
    const { source, destination } = pair;
    const pattern = new Uint8Array(BYTES).map((_, i) => i * 7 + (i >> 9));

    context.note("a disk on both sides, with data at the source only");
    const slow = ["--bandwidth", "4M"];
    let [migrate, receive] = await copying(pair, slow);
    await plugDisk(source, `${context.dir}/hot-source.raw`, pattern);
    await plugDisk(destination, `${context.dir}/hot-dest.raw`, new Uint8Array(BYTES));
    await assertChanged(
      migrate,
      /device virtio-blk-pci at 0000:00:1c\.0:00\.0 \(id hot0\) was added/,
    );
    await assertExit(receive, 1);

    context.note("a device at the source only");
    [migrate, receive] = await copying(pair, slow);
    await source.execute("device_add", { driver: "virtio-rng-pci", id: "rng0", bus: "port2" });
    await assertChanged(migrate, /device virtio-rng-pci at .* \(id rng0\) was added/);
    await assertExit(receive, 1);
    if (await source.status() !== "running") {
      throw new Error("The guest does not run at the source");
    }

    context.note("both machines equal again: the guest crosses with the new disk");
    await destination.execute("device_add", { driver: "virtio-rng-pci", id: "rng0", bus: "port2" });
    [migrate, receive] = await copying(pair, []);
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    await destination.waitCounter(await destination.counter() + 100);
    await Promise.all([source.quit(), destination.quit()]);
    const arrived = await Deno.readFile(`${context.dir}/hot-dest.raw`);
    const wrong = pattern.findIndex((byte, i) => arrived[i] !== byte);
    if (wrong >= 0) throw new Error(`The hotplugged disk differs from byte ${wrong} on`);
  },
};

async function copying(pair: Pair, options: readonly string[]) {
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address(), options);
  await migrate.waitEvent("phase", (e) => e.phase === "mirror");
  return [migrate, receive] as const;
}

async function plugDisk(qemu: Qemu, path: string, content: Uint8Array): Promise<void> {
  await Deno.writeFile(path, content);
  await qemu.execute("blockdev-add", {
    ...{ driver: "raw", "node-name": "hot", file: { driver: "file", filename: path } },
  });
  await qemu.execute("device_add", {
    ...{ driver: "virtio-blk-pci", id: "hot0", drive: "hot", bus: "port1" },
  });
}

async function assertChanged(migrate: ReturnType<Pair["migrate"]>, reason: RegExp): Promise<void> {
  await assertExit(migrate, 1);
  const { error } = await migrate.waitEvent("result");
  const { code, message } = error as { code: string; message: string };
  if (code !== "machine-changed" || !reason.test(message)) {
    throw new Error(`Got ${code}: ${message}, expected ${reason}`);
  }
}
