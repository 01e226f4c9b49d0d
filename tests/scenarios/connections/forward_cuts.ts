import { peakMemoryMiB } from "../support/host.ts";
import { Network } from "../support/network.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { echoHash, echoServer } from "../support/streams.ts";

/** MiB in each direction; the full-size run has 8192. */
const MIB = Number(Deno.env.get("VMFERRY_FORWARD_MIB") ?? 512);
/** The full-size run has 50. */
const CUTS = Number(Deno.env.get("VMFERRY_CUTS") ?? 6);
const MOST_MEMORY_MIB = 200;

/** A long stream over a bad connection. */
export const scenario: Scenario = {
  name: "forward_cuts",
  about:
    "a stream over a connection that is cut again and again arrives complete, with flat memory use",
  timeoutMs: 600_000,
  async run(context) {
    const { dir } = context;
    const network = context.use(await Network.create());
    const secret = `${dir}/secret`;
    await Deno.writeTextFile(secret, crypto.randomUUID(), { mode: 0o600 });
    using _echo = echoServer(`${dir}/to`);
    const common = ["forward", "--json", "--insecure", "--secret-file", secret];
    const to = context.vmferry({
      name: "destination",
      prefix: network.destination.prefix,
      args: [
        ...[...common, "--listen", `tcp://${network.destination.address}:0`],
        ...["--to", `echo=unix://${dir}/to`],
      ],
    });
    const from = context.vmferry({
      name: "source",
      prefix: network.source.prefix,
      args: [...common, "--from", `echo=unix://${dir}/from`, "--once", await to.address()],
    });
    await from.waitEvent("listening");

    let over = false;
    let cuts = 0;
    const memory = [0, 0];
    const cutting = async () => {
      while (!over && cuts < CUTS) {
        // Between two cuts there is time for some of the transfer.
        await pause(200 + Math.random() * 600);
        for (const [i, { pid }] of [to, from].entries()) {
          // The source ends by itself once the stream has ended; its peak is known before.
          const peak = await peakMemoryMiB(pid).catch((error) => {
            if (error instanceof Deno.errors.NotFound) return 0;
            throw error;
          });
          if (peak > 0) memory[i] = peak;
        }
        cuts++;
        if (cuts % 3 === 0) {
          await network.reset();
          continue;
        }
        await network.cut();
        await pause(100 + Math.random() * 2900);
        await network.restore();
      }
    };
    const transfer = async () => {
      await echoHash(`${dir}/from`, MIB * 2 ** 20, 1);
      over = true;
    };
    await Promise.all([transfer(), cutting()]);
    await assertExit(from, 0);
    to.signal("SIGTERM");
    await assertExit(to, 0);
    if (!memory.every((peak) => peak > 0 && peak <= MOST_MEMORY_MIB)) {
      throw new Error(`The two ends took ${memory} MiB of memory`);
    }
    return `${MIB} MiB round trip, ${cuts} cuts, peak memory ${Math.max(...memory)} MiB`;
  },
};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
