import { assertRejects } from "@std/assert";
import { verifyRing } from "../guest/mod.ts";
import { filledMemory } from "../pair/filled_memory.ts";
import { MiB } from "../pair/pair_options.ts";
import { Pair } from "../pair/pair.ts";
import { assertNone, type Scenario } from "../support/scenario.ts";
import { BreakingSocket } from "./lab/breaking_socket.ts";
import { InPostcopy, type Reached } from "./lab/in_postcopy.ts";

const RING = { start: 2048, length: 4096, runId: 0x5eed_0001_0000_0022n } as const;

/** A source in post-copy, cut off from a destination that has not run the guest. */
export const scenario: Scenario = {
  name: "take_back",
  about: "a guest that left by post-copy and never ran at the destination runs at the source again",
  timeoutMs: 500_000,
  ramInPasses: true,
  long: true,
  async run(context) {
    const memory = await filledMemory(`${context.dir}/memory`);
    const pair = await Pair.start(context, {
      ...{ bytes: 8 * MiB, memoryMiB: 128, disks: [{ from: "raw", to: "raw" }] },
      guest: { ring: RING, waitUs: 0, ramPages: 128, ramStep: 2 },
      sourceExtra: memory.source,
      destinationExtra: memory.destination,
    });
    const lab = new InPostcopy(context, pair);
    const rounds: string[] = [];

    const round = async (what: string, run: () => Promise<string>, preempt = false) => {
      context.note(what);
      rounds.push(`${what}: ${await run()}`);
      await lab.assertRuns();
      await lab.renew(preempt);
    };
    const cutOff = (reached: Reached, preempt = false) =>
      round(`${reached}${preempt ? " with preempt" : ""}`, async () => {
        (await lab.leave(reached, preempt)).cut();
        return await lab.takeBack();
      }, preempt);
    /** The stream stays open, and nobody reads it any more. */
    const unread = (reached: Reached) =>
      round(`${reached} and open`, async () => {
        const relay = await lab.leave(reached);
        relay.hold();
        const end = await lab.takeBack();
        relay.cut();
        return end;
      });

    await cutOff("loaded");
    await unread("loaded");
    if (pair.source.atLeast(8, 2)) {
      // The process that takes the guest back is killed at each step of the resume.
      const whole = new BreakingSocket(Infinity);
      await round("whole", async () => {
        (await lab.leave("loaded")).cut();
        return await lab.takeBack(whole.listen);
      });
      // The last 16 bytes: the acknowledgement of the resume, and the end.
      for (const atBytes of [0, 20, whole.written - 16, whole.written - 8]) {
        await round(`killed after ${atBytes} bytes`, async () => {
          (await lab.leave("loaded")).cut();
          const killed = new AbortController();
          const breaking = new BreakingSocket(atBytes, () => killed.abort(new Error("killed")));
          await assertRejects(() => lab.takeBack(breaking.listen, killed.signal), Error, "killed");
          return await lab.takeBack();
        });
      }
      await cutOff("loaded", true);
      await cutOff("package", true);
    }
    // The last ones: after a post-copy that has failed, QEMU 7.2 cannot end another one.
    await unread("package");
    await cutOff("package");

    await pair.assertStillAtSource();
    // QEMU 7.2 does not end by `quit` after a post-copy that has failed.
    await pair.source.crash();
    const image = { path: `${context.dir}/source-vd0.raw`, format: "raw" } as const;
    assertNone((await verifyRing(image, RING, 0)).faults);
    return `${rounds.join(", ")}; at most ${lab.longestMs.toFixed(0)} ms`;
  },
};
