import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { NbdDeviceError } from "../../../src/nbd/mod.ts";
import { inDirectory } from "../../support/in_directory.ts";
import { MemoryDevice, type MemoryDeviceOptions } from "../memory_device.ts";
import { nbdkit, noise, output, run, serve, type Served } from "./ground.ts";

const MiB = 1 << 20;
const SIZE = 8 * MiB;

async function serving(
  options: MemoryDeviceOptions,
  work: (served: Served, device: MemoryDevice, dir: string) => Promise<void>,
): Promise<void> {
  await inDirectory(async (dir) => {
    const device = new MemoryDevice({ sizeBytes: SIZE, ...options });
    await using served = serve(dir, device, "a disk of ours");
    await work(served, device, dir);
  });
}

Deno.test("nbdinfo shows the export with all its properties", async () => {
  await serving({ blockSize: { minimum: 512, maximum: MiB } }, async ({ uri }) => {
    const info = JSON.parse(await output("nbdinfo", "--json", uri));
    const { contexts, ...rest } = info.exports[0];
    assertEquals([info.protocol, info.structured], ["newstyle-fixed", true]);
    assertEquals(contexts, ["base:allocation"]);
    assertEquals(rest["export-name"], "disk");
    assertEquals(rest["export-size"], SIZE);
    assertEquals(rest.description, "a disk of ours");
    const sizes = ["minimum", "preferred", "maximum"].map((name) => rest[`block_size_${name}`]);
    assertEquals(sizes, [512, 4096, MiB]);
    for (const can of ["cache", "df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero"]) {
      assertEquals(rest[`can_${can}`], true, can);
    }
    assertEquals(rest.is_read_only, false);
  });
});

Deno.test("nbdinfo lists exports and is refused one that does not exist", async () => {
  await serving({}, async ({ uri, path }) => {
    const listed = JSON.parse(await output("nbdinfo", "--list", "--json", uri));
    assertEquals(listed.exports.map((of: { "export-name": string }) => of["export-name"]), [
      "disk",
    ]);
    const { code, stderr } = await run("nbdinfo", `nbd+unix:///other?socket=${path}`);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "No such file or directory for export: other");
  });
});

Deno.test("nbdinfo shows where the data is", async () => {
  await serving({}, async ({ uri }, device) => {
    await device.write(MiB, noise(65536));
    const map = JSON.parse(await output("nbdinfo", "--map", "--json", uri)) as {
      offset: number;
      length: number;
      type: number;
    }[];
    assertEquals(map.map(({ offset, length, type }) => [offset, length, type]), [
      [0, MiB, 3],
      [MiB, 65536, 0],
      [MiB + 65536, SIZE - MiB - 65536, 3],
    ]);
  });
});

for (
  const flags of [
    ["--connections=4", "--requests=64", "--threads=2"],
    ["--synchronous"],
    ["--request-size=33554432", "--flush"],
    ["--no-extents", "--destination-is-zero"],
    ["--allocated"],
  ]
) {
  Deno.test(`nbdcopy ${flags.join(" ")} copies to us and from us`, async () => {
    await serving({}, async ({ uri }, device, dir) => {
      const data = noise(SIZE);
      data.fill(0, 2 * MiB, 4 * MiB);
      await Deno.writeFile(`${dir}/in.raw`, data);
      await output("nbdcopy", ...flags, `${dir}/in.raw`, uri);
      assertEquals(device.bytes, data);
      await output("nbdcopy", ...flags, uri, `${dir}/out.raw`);
      assertEquals(await Deno.readFile(`${dir}/out.raw`), data);
    });
  });
}

Deno.test("qemu-img converts to us and from us, compares and maps", async () => {
  await serving({}, async ({ uri }, device, dir) => {
    const data = noise(SIZE);
    data.fill(0, MiB, 7 * MiB);
    await Deno.writeFile(`${dir}/in.raw`, data);
    await output("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", `${dir}/in.raw`, uri);
    assertEquals(device.bytes, data);
    assert(device.calls.some(({ name }) => name === "flush"));
    const convert = ["convert", "-W", "-m", "16", "-f", "raw", "-O", "qcow2"];
    await output("qemu-img", ...convert, uri, `${dir}/out.qcow2`);
    await output("qemu-img", "compare", "-F", "qcow2", "-f", "raw", uri, `${dir}/out.qcow2`);
    const map = JSON.parse(await output("qemu-img", "map", "--output=json", "-f", "raw", uri));
    assertEquals(
      map.map(({ start, zero }: { start: number; zero: boolean }) => [start, zero]),
      [[0, false], [MiB, true], [7 * MiB, false]],
    );
  });
});

Deno.test("qemu-io writes, zeroes, discards and reads back", async () => {
  await serving({}, async ({ uri }, device) => {
    const commands = [
      "write -P 1 0 1M",
      "write -f -P 2 1M 3M",
      "write -z 2M 64k",
      "write -z -u 3M 64k",
      "discard 3584k 64k",
      "flush",
      "read -P 1 0 1M",
      "read -P 2 1M 1M",
      "read -P 0 2M 64k",
      "read -P 0 3M 64k",
      "aio_write -P 5 100 1000",
      "aio_write -P 6 5000 70000",
      "aio_flush",
      "read -P 5 100 1000",
      "read -P 6 5000 70000",
    ];
    const said = await output("qemu-io", "-f", "raw", ...commands.flatMap((c) => ["-c", c]), uri);
    assert(!said.includes("Pattern verification failed"), said);
    const { calls } = device;
    assert(
      calls.some(({ name, options }) => name === "write" && (options as { fua: boolean }).fua),
    );
    const zeroes = calls.filter(({ name }) => name === "writeZeroes");
    assertEquals(zeroes.map(({ options }) => (options as { noHole: boolean }).noHole), [
      true,
      false,
    ]);
    assert(calls.some(({ name }) => name === "trim"));
  });
});

Deno.test("qemu-io shows the device's errors", async () => {
  const errors = { ENOSPC: "No space left", EIO: "Input/output error", EPERM: "not permitted" };
  for (const [errno, message] of Object.entries(errors)) {
    const before = ({ name }: { name: string }) => {
      if (name === "write") throw new NbdDeviceError(errno as "EIO", "by the test");
    };
    await serving({ before }, async ({ uri }) => {
      const { stdout, stderr } = await run("qemu-io", "-f", "raw", "-c", "write 0 4k", uri);
      assertStringIncludes(stdout + stderr, message);
    });
  }
});

Deno.test("a read-only export is not writable for qemu-io", async () => {
  await serving({ readOnly: true }, async ({ uri }) => {
    assertEquals((await run("qemu-io", "-f", "raw", "-c", "write 0 4k", uri)).code, 1);
    await output("qemu-io", "-r", "-f", "raw", "-c", "read -P 0 0 4k", uri);
  });
});

Deno.test("QEMU aligns its requests to the minimum block size", async () => {
  await serving({ blockSize: { minimum: 4096 } }, async ({ uri }, device) => {
    const commands = ["-c", "write -P 9 100 5000", "-c", "read -P 9 100 5000"];
    await output("qemu-io", "-f", "raw", ...commands, uri);
    assertEquals(device.bytes.subarray(99, 101), new Uint8Array([0, 9]));
    for (const { offset = 0, length = 0 } of device.calls) {
      assertEquals([offset % 4096, length % 4096], [0, 0]);
    }
  });
});

Deno.test("nbdkit's client passes everything on, through a retry filter too", async () => {
  let failures = 1;
  const before = ({ name }: { name: string }) => {
    if (name === "write" && failures-- > 0) throw new NbdDeviceError("EIO", "only at first");
  };
  await serving({ before }, async ({ path }, device, dir) => {
    const args = ["--filter=retry-request", "nbd", `socket=${path}`, "export=disk"];
    await using relay = await nbdkit(dir, ...args, "retry-request-delay=1");
    const data = noise(SIZE);
    await Deno.writeFile(`${dir}/in.raw`, data);
    await output("nbdcopy", `${dir}/in.raw`, `nbd+unix:///?socket=${relay.path}`);
    assertEquals(device.bytes, data);
  });
});

Deno.test("nbd-client lists the exports", async () => {
  const device = new MemoryDevice({ sizeBytes: SIZE });
  await inDirectory(async (dir) => {
    await using served = serve(dir, device);
    // It lists by TCP only.
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const relaying = (async () => {
      using client = await listener.accept();
      using server = await Deno.connect({ transport: "unix", path: served.path });
      await Promise.allSettled([
        client.readable.pipeTo(server.writable),
        server.readable.pipeTo(client.writable),
      ]);
    })().catch(() => {});
    const { stdout } = await run("nbd-client", "-l", "127.0.0.1", String(listener.addr.port));
    await relaying;
    assertStringIncludes(stdout, "disk");
  });
});

const hasDevice = await Deno.stat("/dev/nbd0").then(() => true, () => false);

Deno.test({
  name: "nbd-client attaches an export to the kernel",
  ignore: !hasDevice &&
    (console.log("This kernel has no /dev/nbd0: nbd-client attaches nothing"), true),
  fn: async () => {
    await serving({}, async ({ path }, device) => {
      await output("nbd-client", "-unix", path, "/dev/nbd0", "-name", "disk");
      try {
        await output("dd", "if=/dev/urandom", "of=/dev/nbd0", "bs=1M", "count=2", "conv=fsync");
      } finally {
        await output("nbd-client", "-d", "/dev/nbd0");
      }
      assert(device.calls.some(({ name }) => name === "flush"));
    });
  },
});
