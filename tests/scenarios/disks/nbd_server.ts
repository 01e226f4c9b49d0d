import { Pair } from "../pair/pair.ts";
import { assertExit, assertRefused, type Scenario } from "../support/scenario.ts";

/** A QEMU can run only one NBD server. */
export const scenario: Scenario = {
  name: "nbd_server",
  about:
    "a destination whose QEMU already runs an NBD server refuses, and the server keeps running",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 16 << 20 });
    const { destination } = pair;
    const addr = { type: "unix", data: { path: `${context.dir}/own.sock` } };
    await destination.execute("nbd-server-start", { addr });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertRefused(migrate, /NBD server already running.*nbd-server-stop/);
    await assertExit(receive, 3);
    // It is there: it takes an export.
    const node = { type: "nbd", id: "own", "node-name": "dest-vd0", name: "own" };
    await destination.execute("block-export-add", node);
    await destination.execute("block-export-del", { id: "own" });
    await destination.execute("nbd-server-stop");
    await pair.assertStillAtSource();
  },
};
