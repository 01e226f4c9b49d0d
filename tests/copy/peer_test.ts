import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger, systemClock } from "../../src/io/mod.ts";
import { MigrationError } from "../../src/migrate/mod.ts";
import { type Handlers, RpcError, RpcPeer } from "../../src/rpc/mod.ts";
import { CopyPeer } from "../../src/copy/source/peer.ts";
import { sessionPair } from "../tunnel/session_pair.ts";
import { fakeCopyHost } from "./fake_host.ts";

const signal = new AbortController().signal;

async function withDestination(
  handlers: Handlers,
  work: (peer: CopyPeer) => Promise<void>,
): Promise<void> {
  const { connecting, listening } = await sessionPair();
  const rpc = new RpcPeer(listening.rpc, {
    ...{ clock: systemClock, log: silentLogger, handlers },
    onFault: () => {},
  });
  const peer = new CopyPeer(connecting, fakeCopyHost({ clock: systemClock }));
  try {
    await work(peer);
  } finally {
    await Promise.all([connecting.close(), listening.close()]);
    await Promise.all([peer.join(), rpc.join()]);
  }
}

Deno.test("a destination that hashes nothing is refused before anything is created", async () => {
  const calls: string[] = [];
  const prepareCopy = () => {
    calls.push("prepareCopy");
    return Promise.resolve({ images: [], problems: [], warnings: [] });
  };
  await withDestination({ prepareCopy }, async (peer) => {
    const error = await assertRejects(() => peer.requireHashes(signal), MigrationError);
    assertEquals([error.kind, error.code, error.side], [
      ...["refused", "unknown-procedure", "destination"],
    ]);
  });
  assertEquals(calls, []);
});

Deno.test("a destination without a copy yet can hash all the same", async () => {
  const hashBlocks = () => Promise.reject(new RpcError("unknown-migration", "no such copy"));
  await withDestination({ hashBlocks }, (peer) => peer.requireHashes(signal));
});
