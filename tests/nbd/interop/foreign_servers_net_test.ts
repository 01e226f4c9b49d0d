import { assert, assertEquals, assertRejects } from "@std/assert";
import { NbdClient, NbdDeviceError, NbdError } from "../../../src/nbd/mod.ts";
import { connectUnix } from "../../../src/transport/mod.ts";
import { freePort } from "../../../tools/bench/ground.ts";
import { randomOf } from "../../support/bytes.ts";
import { inDirectory } from "../../support/in_directory.ts";
import { type Foreign, nbdkit, noise, open, output, start } from "./ground.ts";

const MiB = 1 << 20;
const SIZE = 4 * MiB;

/** Writes, zeroes and reads at random, in parallel; everything reads as it was written. */
async function exercise(client: NbdClient, rounds = 12): Promise<Uint8Array> {
  const random = randomOf(21);
  const below = (limit: number) => Math.floor(random() * limit);
  const unit = client.blockSize.minimum;
  const model = new Uint8Array(client.sizeBytes);
  await client.read(0, model);
  const parts = 16;
  const partBytes = client.sizeBytes / parts;
  for (let round = 0; round < rounds; round++) {
    await Promise.all(Array.from({ length: parts }, async (_, part) => {
      const half = partBytes / 2 / unit;
      const offset = part * partBytes + below(half) * unit;
      const length = (1 + below(half)) * unit;
      const fua = below(3) === 0 && client.can.fua;
      if (below(3) === 0 && client.can.writeZeroes) {
        await client.writeZeroes(offset, length, { fua, noHole: below(2) === 0 });
        model.fill(0, offset, offset + length);
      } else {
        const bytes = noise(length, round * parts + part);
        await client.write(offset, bytes, { fua });
        model.set(bytes, offset);
      }
    }));
    await Promise.all(Array.from({ length: parts }, async (_, part) => {
      const into = new Uint8Array(partBytes).fill(0xee);
      await client.read(part * partBytes, into);
      assertEquals(into, model.subarray(part * partBytes, (part + 1) * partBytes));
    }));
  }
  if (client.can.flush) await client.flush();
  if (client.can.cache) await client.cache(0, client.sizeBytes);
  if (client.can.blockStatus) {
    for (let at = 0; at < client.sizeBytes;) {
      for (const { length, zero } of await client.blockStatus(at, client.sizeBytes - at)) {
        if (zero) assert(model.subarray(at, at + length).every((byte) => byte === 0));
        at += length;
      }
    }
  }
  return model;
}

for (const format of ["raw", "qcow2"]) {
  Deno.test(`an export of qemu-nbd (${format}) keeps what is written`, async () => {
    await inDirectory(async (dir) => {
      const [image, socket] = [`${dir}/disk`, `${dir}/qemu.sock`];
      await output("qemu-img", "create", "-f", format, image, String(SIZE));
      const args = ["--discard=unmap", "-t", "-e", "4", "-f", format, "-x", "disk", "-k", socket];
      let model: Uint8Array;
      {
        await using server = await start(socket, "qemu-nbd", ...args, image);
        const client = await open(server.path, "disk");
        assertEquals(client.can.blockStatus, true);
        model = await exercise(client);
        await client.trim(0, 65536);
        await client.writeZeroes(0, SIZE / 2);
        model.fill(0, 0, SIZE / 2);
        const [first] = await client.blockStatus(0, SIZE);
        assertEquals([first?.hole, first?.zero], [true, true]);
        // A hole is not sent.
        assertEquals(await client.read(0, new Uint8Array(65536)), [{ offset: 0, length: 65536 }]);
        await client.close();
      }
      await output("qemu-img", "convert", "-f", format, "-O", "raw", image, `${dir}/out`);
      assertEquals(await Deno.readFile(`${dir}/out`), model);
    });
  });
}

Deno.test("a refusal of qemu-nbd has its own code", async () => {
  await inDirectory(async (dir) => {
    const [image, socket] = [`${dir}/disk`, `${dir}/qemu.sock`];
    await output("qemu-img", "create", "-f", "raw", image, String(SIZE));
    await using server = await start(
      ...[socket, "qemu-nbd", "-r", "-t", "-f", "raw", "-x", "disk", "-k", socket, image] as const,
    );
    const { code } = await assertRejects(() => open(server.path, "other"), NbdError);
    assertEquals(code, "unknown-export");
    using client = await open(server.path, "disk");
    assertEquals(client.readOnly, true);
    const write = () => client.write(0, new Uint8Array(512));
    assertEquals((await assertRejects(write, NbdDeviceError)).errno, "EPERM");
  });
});

const memory = ["memory", String(SIZE)];

/** nbdkit's arguments, and a property that its client shows. */
const NBDKITS: readonly [string, string[], (client: NbdClient) => boolean][] = [
  ["as it is", memory, ({ can }) => can.blockStatus && can.fastZero && can.multiConn],
  ["without structured replies", ["--no-sr", ...memory], ({ can }) => !can.blockStatus],
  ["without the fixed newstyle", ["--mask-handshake=0", ...memory], ({ can }) => can.flush],
  ["with zeroes after the export", ["--mask-handshake=1", ...memory], ({ can }) => can.flush],
  ["without zeroes", ["--filter=nozero", ...memory], ({ can }) => !can.writeZeroes],
  [
    "with emulated zeroes",
    ["--filter=nozero", ...memory, "zeromode=emulate"],
    (c) => c.can.writeZeroes,
  ],
  ["without extents", ["--filter=noextents", ...memory], ({ sizeBytes }) => sizeBytes === SIZE],
  ["without FUA", ["--filter=fua", ...memory, "fuamode=discard"], ({ can }) => can.fua],
  ["with emulated FUA", ["--filter=fua", ...memory, "fuamode=emulate"], ({ can }) => can.fua],
  ["with delays", [
    ...["--filter=delay", ...memory, "delay-read=5ms", "delay-write=3ms"],
  ], ({ can }) => can.trim],
  ["with large blocks that it enforces", [
    ...["--filter=blocksize-policy", ...memory, "blocksize-error-policy=error"],
    ...["blocksize-minimum=4096", "blocksize-preferred=64K", "blocksize-maximum=128K"],
  ], ({ blockSize }) => blockSize.minimum === 4096 && blockSize.maximum === 131072],
  ["without parallel requests", ["--filter=noparallel", ...memory], ({ can }) => can.trim],
  ["with a cache", ["--filter=cache", ...memory], ({ can }) => can.cache],
  ["with an overlay", ["--filter=cow", ...memory], ({ can }) => can.flush],
  ["with readahead and stats", ["--filter=readahead", ...memory], ({ can }) => can.flush],
];

for (const [how, args, shows] of NBDKITS) {
  Deno.test(`an export of nbdkit ${how} keeps what is written`, async () => {
    await inDirectory(async (dir) => {
      await using server = await nbdkit(dir, ...args);
      const client = await open(server.path);
      assert(shows(client), JSON.stringify([client.can, client.blockSize]));
      await exercise(client, how === "with delays" ? 2 : 6);
      await client.close();
    });
  });
}

Deno.test("an oldstyle server is refused by name", async () => {
  await inDirectory(async (dir) => {
    await using server = await nbdkit(dir, "--oldstyle", ...memory);
    assertEquals(
      (await assertRejects(() => open(server.path), NbdError, "oldstyle")).code,
      "not-nbd",
    );
  });
});

for (const errno of ["EPERM", "EIO", "ENOMEM", "EINVAL", "ENOSPC"] as const) {
  Deno.test(`${errno} of nbdkit's error filter fails one request`, async () => {
    await inDirectory(async (dir) => {
      const fails = [`error-pwrite=${errno}`, "error-pwrite-rate=100%"];
      await using server = await nbdkit(dir, "--filter=error", ...memory, ...fails);
      using client = await open(server.path);
      const error = await assertRejects(() => client.write(0, noise(4096)), NbdDeviceError);
      assertEquals(error.errno, errno);
      await client.read(0, new Uint8Array(4096));
    });
  });
}

Deno.test("random errors of nbdkit leave every other request as it was", async () => {
  await inDirectory(async (dir) => {
    await using server = await nbdkit(dir, "--filter=error", ...memory, "error-rate=30%");
    const client = await open(server.path);
    let failed = 0;
    await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      const [bytes, into] = [noise(16384, i), new Uint8Array(16384)];
      const again = async (work: () => Promise<unknown>): Promise<void> => {
        try {
          await work();
        } catch (error) {
          assert(error instanceof NbdDeviceError, String(error));
          failed++;
          await again(work);
        }
      };
      await again(() => client.write(i * 16384, bytes));
      await again(() => client.read(i * 16384, into));
      assertEquals(into, bytes);
    }));
    assert(failed > 20, `${failed} failed`);
    await client.close();
  });
});

Deno.test("a plugin's own error arrives as its number", async () => {
  // It reads the data first: a script that does not makes nbdkit answer EIO, now and then.
  const pwrite = (errno: string) =>
    `pwrite=cat >/dev/null; echo "${errno} by the test" >&2; exit 1`;
  const arrives = {
    ENOSPC: "ENOSPC",
    EPERM: "EPERM",
    EROFS: "EPERM",
    EFBIG: "ENOSPC",
    EBUSY: "EIO",
  };
  for (const [errno, expected] of Object.entries(arrives)) {
    await inDirectory(async (dir) => {
      const plugin = ["eval", `get_size=echo ${SIZE}`, "can_write=exit 0", pwrite(errno)];
      await using server = await nbdkit(dir, ...plugin, `pread=dd if=/dev/zero bs=$3 count=1`);
      using client = await open(server.path);
      const error = await assertRejects(() => client.write(0, noise(512)), NbdDeviceError);
      assertEquals(error.errno, expected);
      await client.read(0, new Uint8Array(512));
    });
  }
});

Deno.test("a server that is killed fails every request at once", async () => {
  await inDirectory(async (dir) => {
    const server: Foreign = await nbdkit(dir, "--filter=delay", ...memory, "delay-write=10");
    using client = await open(server.path);
    const writes = [0, 1, 2].map((i) => client.write(i * 512, noise(512)));
    const failed = Promise.all(writes.map((write) => assertRejects(() => write, NbdError)));
    await client.read(0, new Uint8Array(512));
    await server.kill();
    for (const { code } of await failed) assertEquals(code, "closed");
    assertEquals((await assertRejects(() => client.flush(), NbdError)).code, "closed");
  });
});

Deno.test("a server that never answers its negotiation fails at the deadline", async () => {
  await inDirectory(async (dir) => {
    await using server = await nbdkit(dir, "--filter=delay", ...memory, "delay-open=9");
    const opening = NbdClient.open(await connectUnix(server.path), "", { timeoutMs: 200 });
    assertEquals((await assertRejects(() => opening, NbdError)).code, "timeout");
    await server.kill();
  });
});

Deno.test("an export of nbd-server keeps what is written", async () => {
  await inDirectory(async (dir) => {
    const [image, config, socket] = [`${dir}/disk`, `${dir}/config`, `${dir}/nbd.sock`];
    await Deno.writeFile(image, new Uint8Array(SIZE));
    await Deno.chmod(dir, 0o755);
    await Deno.writeTextFile(
      config,
      // It listens on a port, too; 0 would make it serve its standard input.
      `[generic]\nunixsock = ${socket}\nlistenaddr = 127.0.0.1\nport = ${freePort()}\n` +
        `[disk]\nexportname = ${image}\nflush = true\nfua = true\ntrim = true\n`,
    );
    let model: Uint8Array;
    {
      await using server = await start(socket, "nbd-server", "-d", "-C", config);
      const client = await open(server.path, "disk");
      assertEquals(client.can.blockStatus, false);
      model = await exercise(client);
      await client.close();
    }
    assertEquals(await Deno.readFile(image), model);
  });
});
