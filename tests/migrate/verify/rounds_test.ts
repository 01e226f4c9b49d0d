import { assertEquals, assertRejects } from "@std/assert";
import { BLOCK_BYTES as B, BlockHashes, type Range } from "../../../src/delta/mod.ts";
import { DiskProof } from "../../../src/migrate/verify/disk_proof.ts";
import { PageHashes } from "../../../src/migrate/verify/page_hashes.ts";
import { compare, inParallel, Rounds } from "../../../src/migrate/verify/rounds.ts";
import { verdict } from "../../../src/migrate/verify/verdict.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";

function diskOf(blocks: number) {
  const proof = new DiskProof({ name: "vd0", sizeBytes: blocks * B }, new PageHashes());
  const reads: Range[] = [];
  const read = async (range: Range) => {
    reads.push(range);
    await settle();
    return new BlockHashes(Math.ceil(range.length / B));
  };
  return { proof, reads, ends: { here: read, there: read } };
}

Deno.test("a comparison that fails leaves its blocks open", async () => {
  const { proof, ends } = diskOf(4);
  const { signal } = new AbortController();
  const there = () => Promise.reject(new Error("The destination is away"));
  const failing = { proof, ends: { ...ends, there } };
  await assertRejects(() => compare(failing, proof.take(0)!, signal), Error, "away");
  assertEquals([proof.open, proof.proved], [4, 0]);
});

Deno.test("a comparison that is stopped leaves its blocks open, and its late end proves nothing", async () => {
  const { proof, ends } = diskOf(4);
  const stop = new AbortController();
  const late = Promise.withResolvers<BlockHashes>();
  const comparing = assertRejects(() =>
    compare({ proof, ends: { ...ends, there: () => late.promise } }, proof.take(0)!, stop.signal)
  );
  await settle();
  stop.abort(new Error("The guest is paused"));
  await comparing;
  late.resolve(new BlockHashes(4));
  await settle();
  assertEquals([proof.open, proof.proved], [4, 0]);
});

Deno.test("rounds end when a round leaves as much open as the one before", async () => {
  const disk = diskOf(2000);
  const busy = () => disk.proof.changed({ offset: 0, length: 1500 * B });
  const here = async (range: Range) => {
    const hashes = await disk.ends.here(range);
    busy();
    return hashes;
  };
  const rounds = new Rounds({
    disks: [{ proof: disk.proof, ends: { ...disk.ends, here } }],
    ...{ pauseMs: 1, clock: new ManualClock() },
  });
  await rounds.untilFew(new AbortController().signal);
  assertEquals(disk.proof.open, 1500);
});

Deno.test("in the background only what was written is compared, with a rest between two rounds", async () => {
  const clock = new ManualClock();
  const { proof, ends, reads } = diskOf(600);
  const rounds = new Rounds({ disks: [{ proof, ends }], pauseMs: 1, clock });
  const { signal } = new AbortController();
  await rounds.untilFew(signal);
  rounds.begin(signal, (error) => {
    throw error;
  });
  await clock.advance(1);
  reads.length = 0;
  proof.changed({ offset: 5 * B, length: 1 });
  await clock.advance(200);
  assertEquals(reads, []);
  await clock.advance(100);
  assertEquals(reads, [{ offset: 5 * B, length: B }, { offset: 5 * B, length: B }]);
  await rounds.stop();
  assertEquals([proof.open, clock.armed], [0, 0]);
});

Deno.test("work is done so many at a time, and none begins after a failure", async () => {
  const order: string[] = [];
  let next = 0;
  const failing = inParallel(2, () => {
    const i = next++;
    order.push(`begin ${i}`);
    return settle().then(() => {
      order.push(`end ${i}`);
      if (i === 1) throw new Error("no");
    });
  });
  await assertRejects(() => failing, Error, "no");
  assertEquals(order.slice(0, 2), ["begin 0", "begin 1"]);
  assertEquals(order.filter((entry) => entry.startsWith("begin")).length <= 3, true);
});

Deno.test("the verdict compares suspects even where the pause has no time", async () => {
  const { proof, ends } = diskOf(300);
  const { signal } = new AbortController();
  const one = {
    ...ends,
    there: async (range: Range) => {
      const hashes = await ends.there(range);
      if (range.offset <= 7 * B && range.offset + range.length > 7 * B) {
        hashes.set(7 - range.offset / B, new Uint8Array(32).fill(1));
      }
      return hashes;
    },
  };
  const bad = { proof, ends: one };
  for (let i = 0; i < 2; i++) await compare(bad, proof.takeRun(0, 256), signal);
  await compare(bad, proof.takeRun(256, 300), signal);
  assertEquals([proof.open, proof.suspects], [1, [7]]);
  proof.changed({ offset: 100 * B, length: B });
  let sent: readonly Range[] = [];
  const disk = {
    ...{ proof, ends: one },
    repair: (ranges: readonly Range[]) => {
      sent = ranges;
      one.there = ends.there;
      return Promise.resolve();
    },
  };
  const clock = new ManualClock();
  const [found] = await verdict({ disks: [disk], pauseMs: 0, clock, signal });
  assertEquals([found!.differed, sent], [[7], [{ offset: 7 * B, length: B }]]);
  assertEquals(proof.open, 1, "block 100");
});
