import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { probeExports } from "../../../src/migrate/disks/probe_exports.ts";
import type { TunnelStream } from "../../../src/tunnel/mod.ts";
import { serverSaying, WHOLE } from "../../nbd/dialogue.ts";

const MIB = 1024 * 1024;
const DISK = {
  ...{ name: "vd0", device: "d", sizeBytes: MIB, exportName: "disk" },
  ...{ jobId: "j", targetNode: "t", noHoles: null, topOnly: null, delta: null },
};

/** A destination whose NBD server is cut off with an error the first time. */
function cutOff() {
  let opened = 0;
  const broken = () => Promise.reject(new Error("The local socket took no bytes: Broken pipe"));
  const openChannel = () => {
    const pipe = serverSaying(WHOLE);
    const cut = {
      ...{ read: broken, write: broken, closeWrite: broken },
      close: () => pipe.close(),
    };
    return Promise.resolve((++opened === 1 ? cut : pipe) as unknown as TunnelStream);
  };
  return { peer: { openChannel }, opened: () => opened };
}

/** A destination whose NBD server closes the first `times` connections without an answer. */
function hangingUp(times: number) {
  let opened = 0;
  const openChannel = () => {
    const pipe = ++opened <= times ? serverSaying([], { hangUp: true }) : serverSaying(WHOLE);
    return Promise.resolve(pipe as unknown as TunnelStream);
  };
  return { peer: { openChannel }, opened: () => opened };
}

const options = { awayMs: 1000, signal: new AbortController().signal };

Deno.test("a probe whose connection the server closes is tried again", async () => {
  const { peer, opened } = hangingUp(2);
  await probeExports(peer, [DISK], options);
  assertEquals(opened(), 3);
});

Deno.test("a probe whose stream fails is tried again", async () => {
  const { peer, opened } = cutOff();
  await probeExports(peer, [DISK], options);
  assertEquals(opened(), 2);
});

Deno.test("a server that closes every probe's connection fails with the disk's name", async () => {
  const { peer, opened } = hangingUp(Infinity);
  const error = await assertRejects(() => probeExports(peer, [DISK], options), MigrationError);
  assertEquals([error.code, error.side], ["probe-closed", "destination"]);
  assertEquals(error.message.startsWith("disk vd0: "), true, error.message);
  assertEquals(opened(), 3);
});

Deno.test("an export of another size than its disk fails at the first probe", async () => {
  const { peer, opened } = hangingUp(0);
  const wrong = { ...DISK, sizeBytes: 2 * MIB };
  const error = await assertRejects(() => probeExports(peer, [wrong], options), MigrationError);
  assertEquals([error.code, opened()], ["probe-size-mismatch", 1]);
});
