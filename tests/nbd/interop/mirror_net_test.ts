import { assert, assertEquals } from "@std/assert";
import { type BlockDevice, NbdClient } from "../../../src/nbd/mod.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { connectUnix } from "../../../src/transport/mod.ts";
import { inDirectory } from "../../support/in_directory.ts";
import { poll } from "../../scenarios/support/waiting.ts";
import { noise, open, serve, start } from "./ground.ts";

const MiB = 1 << 20;
const SIZE = 16 * MiB;

/** A storage daemon with one node of a raw file, served as "disk". */
async function daemon(dir: string, name: string, file: string) {
  const [qmp, nbd] = [`${dir}/${name}.qmp`, `${dir}/${name}.nbd`];
  const node = `driver=file,filename=${file},node-name=file,discard=unmap`;
  const server = await start(
    nbd,
    "qemu-storage-daemon",
    ...["--chardev", `socket,path=${qmp},id=qmp,server=on,wait=off`, "--monitor", "qmp"],
    ...["--blockdev", node, "--blockdev", "driver=raw,file=file,node-name=disk,discard=unmap"],
    ...["--nbd-server", `addr.type=unix,addr.path=${nbd},max-connections=0`],
    ...["--export", "nbd,id=disk,node-name=disk,name=disk,writable=on"],
  );
  const client = await poll("QMP", () => connectUnix(qmp).catch(() => undefined));
  return { server, nbd, qmp: await QmpClient.open(client) };
}

/** Passes everything on and counts the calls. */
function counting(device: BlockDevice, calls: Map<string, number>): BlockDevice {
  return new Proxy(device, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      calls.set(String(name), (calls.get(String(name)) ?? 0) + 1);
      return value.bind(target);
    },
  });
}

Deno.test("a mirror job of QEMU through both our sides leaves an equal disk, with writes meanwhile", async () => {
  await inDirectory(async (dir) => {
    const [here, there] = [`${dir}/here`, `${dir}/there`];
    const data = noise(SIZE);
    data.fill(0, 4 * MiB, 12 * MiB);
    await Deno.writeFile(here, data);
    // Old contents, which the mirror must replace also where the source has zeroes.
    await Deno.writeFile(there, noise(SIZE, 2));
    const source = await daemon(dir, "source", here);
    const destination = await daemon(dir, "destination", there);
    const calls = new Map<string, number>();
    try {
      const target = await NbdClient.open(await connectUnix(destination.nbd), "disk");
      await using relay = serve(dir, counting(target, calls));
      const { qmp } = source;
      await qmp.executeUntyped("blockdev-add", {
        ...{ driver: "nbd", "node-name": "target", export: "disk" },
        server: { type: "unix", path: relay.path },
      });
      await qmp.executeUntyped("blockdev-mirror", {
        ...{ "job-id": "mirror", device: "disk", target: "target", sync: "full" },
        "auto-dismiss": false,
      });
      const guest = await open(source.nbd, "disk");
      for (let i = 0; i < 64; i++) {
        const bytes = noise(4096 * (1 + i % 5), 100 + i);
        await guest.write((i * 4099 % 3900) * 4096, bytes, { fua: i % 8 === 0 });
        if (i % 16 === 0) await guest.writeZeroes(i * 65536, 65536);
      }
      await guest.close();
      const status = async () =>
        (await qmp.executeUntyped("query-jobs") as unknown as { status: string; error?: string }[])[
          0
        ]!;
      const becomes = (wanted: string) =>
        poll(`the mirror to be ${wanted}`, async () => {
          const { status: now, error } = await status();
          if (error !== undefined) throw new Error(error);
          return now === wanted ? true : undefined;
        });
      await becomes("ready");
      // Without force: the job flushes and ends with both disks equal.
      await qmp.executeUntyped("block-job-cancel", { device: "mirror" });
      await becomes("concluded");
      await qmp.executeUntyped("job-dismiss", { id: "mirror" });
      await qmp.executeUntyped("blockdev-del", { "node-name": "target" });
      await target.close();
      assert(calls.get("write")! > 0 && calls.get("flush")! > 0, [...calls].join(" "));
    } finally {
      source.qmp.close();
      destination.qmp.close();
      await source.server[Symbol.asyncDispose]();
      await destination.server[Symbol.asyncDispose]();
    }
    assertEquals(await Deno.readFile(there), await Deno.readFile(here));
  });
});
