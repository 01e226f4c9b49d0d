import { assertEquals } from "@std/assert";
import { silentLogger, systemClock } from "../../../src/io/mod.ts";
import { Limits } from "../../../src/migrate/mod.ts";
import { LockDirectory } from "../../../src/cli/parallel/lock_directory.ts";
import { ShareKeeper } from "../../../src/cli/parallel/share_keeper.ts";
import { inDirectory } from "../../support/in_directory.ts";

const MIB = 1024 * 1024;

/** A migration that sends as fast as it may, `most` bytes per second at most. */
class Sender implements AsyncDisposable {
  readonly limits: Limits;
  readonly #stack = new AsyncDisposableStack();
  readonly #waiting: { share: number; resolve: () => void }[] = [];
  readonly #since = performance.now();
  readonly #most: number;
  #sent = 0;
  #at = this.#since;
  isUrgent = false;

  static async start(
    directory: LockDirectory,
    hostBandwidth: number,
    { most = Infinity, bandwidth = null as number | null } = {},
  ): Promise<Sender> {
    const sender = new Sender(new Limits(bandwidth, 300), most);
    const facts = { pid: 1, what: "x", maxParallel: null, hostBandwidth, wants: null };
    const membership = sender.#stack.use(await directory.join(facts, "running"));
    sender.#stack.use(
      await ShareKeeper.start({
        ...{ membership, hostBandwidth, clock: systemClock, log: silentLogger },
        apply: async (share) => {
          sender.#count();
          await sender.limits.setShare(share);
          for (const each of sender.#waiting) if (each.share === share) each.resolve();
        },
        limit: () => sender.limits.bandwidth,
        bytes: () => sender.#count(),
        isUrgent: () => sender.isUrgent,
      }),
    );
    return sender;
  }

  private constructor(limits: Limits, most: number) {
    [this.limits, this.#most] = [limits, most];
  }

  /** Resolves when its share is that many MiB/s; a test that waits in vain ends by its runner. */
  async has(mib: number): Promise<void> {
    const share = mib * MIB;
    if (this.limits.share === share) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ share, resolve });
    await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #count(): number {
    const now = performance.now();
    const rate = Math.min(this.limits.rate ?? 1024 * MIB, this.#most);
    this.#sent += rate * (now - this.#at) / 1000;
    this.#at = now;
    return this.#sent;
  }
}

Deno.test("shares follow when a migration begins and when one ends", async () => {
  await inDirectory(async (dir) => {
    const directory = new LockDirectory(`${dir}/parallel`);
    await using first = await Sender.start(directory, 60 * MIB);
    const second = await Sender.start(directory, 60 * MIB);
    await Promise.all([first.has(30), second.has(30)]);
    await second[Symbol.asyncDispose]();
    const start = performance.now();
    await first.has(60);
    assertEquals(performance.now() - start < 2000, true, "within two seconds");
  });
});

Deno.test("what a slow migration leaves goes to the others, but not in the phases of RAM", async () => {
  await inDirectory(async (dir) => {
    const directory = new LockDirectory(`${dir}/parallel`);
    await using first = await Sender.start(directory, 64 * MIB);
    // Wants 1.56 MiB/s, which is 4 MiB/s in powers of two and at least a tenth of 32.
    await using slow = await Sender.start(directory, 64 * MIB, { most: MIB });
    await first.has(60);
    await slow.has(4);
    slow.isUrgent = true;
    await Promise.all([first.has(32), slow.has(32)]);
  });
});

Deno.test("a migration with a lower limit of its own leaves the rest to the others", async () => {
  await inDirectory(async (dir) => {
    const directory = new LockDirectory(`${dir}/parallel`);
    await using first = await Sender.start(directory, 64 * MIB);
    await using limited = await Sender.start(directory, 64 * MIB, { bandwidth: 8 * MIB });
    await first.has(56);
    assertEquals(limited.limits.rate, 8 * MIB);
    await limited.limits.set({ bandwidth: null });
    await Promise.all([first.has(32), limited.has(32)]);
  });
});
