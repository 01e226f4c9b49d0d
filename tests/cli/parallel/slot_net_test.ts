import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/io/mod.ts";
import type { MigrationError, MigrationEvent } from "../../../src/migrate/mod.ts";
import { LockDirectory, type Membership } from "../../../src/cli/parallel/lock_directory.ts";
import { fileName } from "../../../src/cli/parallel/member.ts";
import { takeSlot } from "../../../src/cli/parallel/slot.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";
import { inDirectory } from "../../support/in_directory.ts";

/** A migration that wants to run among `max` others. */
class Wish {
  readonly waits = Promise.withResolvers<MigrationEvent & { event: "waiting" }>();
  readonly stop = new AbortController();
  readonly turn: Promise<void>;
  readonly membership: Membership;
  hasTurn = false;

  static async make(directory: LockDirectory, max: number, maxWaitMs = 0): Promise<Wish> {
    const facts = {
      ...{ pid: 7, what: `one of ${max}`, maxParallel: max, hostBandwidth: null, wants: null },
    };
    return new Wish(await directory.join(facts, "waiting"), max, maxWaitMs);
  }

  private constructor(membership: Membership, max: number, maxWaitMs: number) {
    this.membership = membership;
    this.turn = takeSlot({
      ...{ membership, max, maxWaitMs, signal: this.stop.signal, clock: systemClock },
      onWait: () => Promise.resolve(),
      report: (event) => {
        if (event.event === "waiting") this.waits.resolve(event);
      },
    }).then(() => void (this.hasTurn = true));
    this.turn.catch(() => {});
  }

  async end(): Promise<void> {
    await this.membership[Symbol.asyncDispose]();
  }
}

Deno.test("no more migrations run than each of them accepts, and the one that waits says which run", async () => {
  await inDirectory(async (dir) => {
    const directory = new LockDirectory(`${dir}/parallel`);
    const [first, second] = [await Wish.make(directory, 2), await Wish.make(directory, 2)];
    await Promise.all([first.turn, second.turn]);
    const third = await Wish.make(directory, 2);
    const { maxParallel, lockDir, running } = await third.waits.promise;
    assertEquals([maxParallel, lockDir], [2, `${dir}/parallel`]);
    assertEquals(running, [{ pid: 7, what: "one of 2" }, { pid: 7, what: "one of 2" }]);
    assertEquals(third.hasTurn, false);
    await first.end();
    await third.turn;
    await second.end();
    await third.end();
    await assertRejects(() => Deno.lstat(directory.path), Deno.errors.NotFound);
  });
});

Deno.test("a migration that accepts fewer others does not keep one that accepts more", async () => {
  await inDirectory(async (dir) => {
    const directory = new LockDirectory(`${dir}/parallel`);
    const first = await Wish.make(directory, 1);
    await first.turn;
    const alone = await Wish.make(directory, 1);
    await alone.waits.promise;
    const among = await Wish.make(directory, 3);
    await among.turn;
    assertEquals(alone.hasTurn, false);
    await first.end();
    await among.end();
    await alone.turn;
    await alone.end();
  });
});

Deno.test("of two that may begin, the first that came does, unless its process is stopped", async () => {
  await inDirectory(async (dir) => {
    const directory = new LockDirectory(`${dir}/parallel`);
    const facts = { pid: 1, what: "x", maxParallel: 1, hostBandwidth: null, wants: null };
    const first = await directory.join(facts, "waiting");
    const second = await Wish.make(directory, 1);
    assertEquals((await second.waits.promise).running, []);
    const path = `${directory.path}/${fileName({ state: "waiting", id: first.id })}`;
    const before = new Date(Date.now() - 60_000);
    await Deno.utime(path, before, before);
    await second.turn;
    await second.end();
    await first[Symbol.asyncDispose]();
  });
});

Deno.test("the one that came first is the first also within a millisecond, and after the clock was set back", async () => {
  await inDirectory(async (dir) => {
    const times = [2000, 2000, 2000, 1000, 1000];
    const directory = new LockDirectory(`${dir}/parallel`, () => times.shift()!);
    const facts = { pid: 1, what: "x", maxParallel: 1, hostBandwidth: null, wants: null };
    const members: Membership[] = [];
    for (const _ of [...times]) members.push(await directory.join(facts, "waiting"));
    const ids = members.map(({ id }) => id);
    assertEquals(ids, ids.toSorted());
    for (const member of members) await member[Symbol.asyncDispose]();
  });
});

Deno.test("a wait ends when it is cancelled or takes too long, and leaves nothing", async () => {
  await inDirectory(async (dir) => {
    const directory = new LockDirectory(`${dir}/parallel`);
    const running = await Wish.make(directory, 1);
    await running.turn;
    const cancelled = await Wish.make(directory, 1);
    await cancelled.waits.promise;
    cancelled.stop.abort(new Error("Ctrl-C"));
    await assertRejects(() => cancelled.turn, Error, "Ctrl-C");
    await cancelled.end();
    const late = await Wish.make(directory, 1, 50);
    const error = await assertRejects(() => late.turn) as MigrationError;
    assertEquals([error.kind, error.code], ["refused", "no-slot"]);
    assert(error.message.includes("one of 1 (process 7)"), error.message);
    await late.end();
    assertEquals((await directory.names()).length, 1);
    await running.end();
  });
});

Deno.test("a process that is killed frees its slot, and the next one removes its file", async () => {
  await inDirectory(async (dir) => {
    const directory = new LockDirectory(`${dir}/parallel`);
    const holder = new URL("./slot_holder.ts", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", holder, directory.path],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    const next = await Wish.make(directory, 1);
    assertEquals((await next.waits.promise).running, [{ pid: child.pid, what: "the holder" }]);
    child.kill("SIGKILL");
    await child.status;
    await next.turn;
    assertEquals((await directory.names()).map(({ id }) => id), [next.membership.id]);
    await reader.cancel();
    await next.end();
  });
});

Deno.test("a lock directory that cannot be used is wrong usage", async () => {
  await inDirectory(async (dir) => {
    await Deno.writeTextFile(`${dir}/file`, "");
    for (const path of [`${dir}/file`, `${dir}/none/parallel`]) {
      const join = () => Wish.make(new LockDirectory(path), 1);
      await assertRejects(join, UsageError, `--lock-dir: can't use ${path}`);
    }
    await Deno.mkdir(`${dir}/open`);
    await Deno.chmod(`${dir}/open`, 0o777);
    const open = () => Wish.make(new LockDirectory(`${dir}/open`), 1);
    await assertRejects(open, UsageError, "other users can write to it");
  });
});
