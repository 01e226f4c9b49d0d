import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** How long the guest's writes may wait, ms: a connection is dead after 5 s, and lost for 5 s. */
const MOST_MS = 30_000;
/** Each write waits for an answer: without one, no further write follows. Few, for a busy machine. */
const WRITES = 300;

/** From QEMU 8.2 on a guest that writes too fast waits for the destination. */
export const scenario: Scenario = {
  name: "link_blocking",
  about: "a guest whose writes wait for the destination does not wait for one that is silent",
  timeoutMs: 300_000,
  async run(context) {
    const pair = await Pair.start(context, {
      ...{ bytes: 8 * MiB, disks: [{ from: "raw", to: "raw" }] },
      guest: { waitUs: 0, ramPages: 0, ramStep: 0 },
    });
    const { source } = pair;
    const commands = await source.execute<{ name: string }[]>("query-commands");
    if (!commands.some((c) => c.name === "block-job-change")) {
      return "nothing to see: this QEMU can't make the guest's writes wait";
    }
    const receive = pair.receive(["--dead-after", "5"]);
    const limited = ["--bandwidth", "512K", "--dead-after", "5"];
    const address = await receive.address();
    let migrate = pair.migrate(address, limited);
    await migrate.waitEvent("progress", (e) => {
      const [{ transferred }] = e.disks as [{ transferred: number }];
      return transferred >= 8 * MiB;
    });
    await pair.set("bandwidth=128K");
    await migrate.waitEvent("warning", (e) => e.code === "mirror-write-blocking", 120_000);

    context.note("resumed by another process, which does not know of the silence");
    migrate.signal("SIGKILL");
    await migrate.exit();
    migrate = pair.migrate(address, [...limited, "--resume"]);
    await migrate.waitEvent("progress");

    receive.signal("SIGSTOP");
    // The guest may still write what the tunnel buffers: look for the first write that waits.
    await migrate.waitEvent("link", (e) => e.state === "down", 30_000);
    const since = performance.now();
    await source.waitCounter(await source.counter() + WRITES, MOST_MS);
    const stood = Math.round(performance.now() - since);
    receive.signal("SIGCONT");
    await migrate.waitEvent("link", (e) => e.state === "up", 30_000);
    await pair.set("bandwidth=none");
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0);
    await pair.assertArrived();
    return `${WRITES} writes more within ${stood} ms of the lost connection`;
  },
};
