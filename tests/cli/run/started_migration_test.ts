import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger, systemClock } from "../../../src/io/mod.ts";
import { StartedMigration } from "../../../src/cli/run/started_migration.ts";
import { type DestinationMigration, MigrationError } from "../../../src/migrate/mod.ts";
import { DestinationPeer } from "../../../src/migrate/source/destination_peer.ts";
import { type RpcPeer } from "../../../src/rpc/mod.ts";
import type { Session } from "../../../src/tunnel/mod.ts";
import { fakeDestination } from "../../support/fake_destination.ts";
import { sessionPair } from "../../tunnel/session_pair.ts";
import { announced, cancelled, never, turns, until } from "../../migrate/destination/support.ts";

/** A migration that a test ends as it likes. */
class FakeMigration {
  readonly over = Promise.withResolvers<void>();
  readonly served: Session[] = [];
  source: Session | undefined;
  leftBehind = false;
  told = Promise.resolve();
  outcome = () => this.over.promise;
  leave = () => Promise.resolve();
  cancel = (reason: MigrationError) => Promise.resolve(this.over.reject(reason));
  serve(session: Session, rpc: RpcPeer): void {
    this.served.push(session);
    rpc.serve({ ready: () => Promise.resolve({ ready: true }) });
  }
}

/** A destination whose QEMU starts when a test says so. */
function started(make: () => unknown = () => new FakeMigration()) {
  const order: string[] = [];
  const starts: PromiseWithResolvers<void>[] = [];
  const migrations: FakeMigration[] = [];
  const events: string[] = [];
  const destination = new StartedMigration({
    site: {
      start: (signal) => {
        order.push("start");
        const start = Promise.withResolvers<void>();
        starts.push(start);
        signal.addEventListener("abort", () => start.reject(signal.reason));
        return start.promise;
      },
      stop: async () => {
        await turns();
        order.push("stop");
        return undefined;
      },
    },
    open: () => {
      order.push("open");
      const migration = make() as FakeMigration;
      migrations.push(migration);
      return Promise.resolve({
        migration: migration as unknown as DestinationMigration,
        keep: () => void order.push("keep"),
        [Symbol.asyncDispose]: () => Promise.resolve(void order.push("close")),
      });
    },
    ...{ isPipe: false, clock: systemClock, log: silentLogger },
    report: (event) => void events.push("code" in event ? event.code : event.event),
  });
  const source = async () => {
    const { connecting, listening } = await sessionPair();
    destination.serve(listening);
    return new DestinationPeer(connecting, { clock: systemClock, log: silentLogger });
  };
  return { destination, order, starts, migrations, events, source };
}

const failure = (kind: "failed" | "unknown" | "cancelled") =>
  new MigrationError(kind, kind === "unknown" ? "lost" : kind, "destination", kind);

Deno.test("sources that come while QEMU is started wait for the same one", async () => {
  const { destination, order, starts, migrations, source } = started();
  const [one, two] = [await source(), await source()];
  const ready = Promise.all([one, two].map((peer) => peer.untilReady("prepare", never)));
  await turns();
  assertEquals(order, ["start"]);
  starts[0]!.resolve();
  await ready;
  assertEquals([order, migrations[0]!.served.length], [["start", "open"], 2]);
  migrations[0]!.over.resolve();
  await destination.outcome();
  assertEquals(order, ["start", "open"], "a QEMU with the guest is not stopped");
  await Promise.all([one.close(), two.close()]);
});

Deno.test("QEMU is stopped when the last source leaves, and started anew for the next", async () => {
  const { order, starts, source, events } = started();
  const [one, two] = [await source(), await source()];
  await one.close();
  await turns();
  assertEquals(order, ["start"], "another source waits");
  await two.abort(cancelled("Refused here"));
  assertEquals([order, events], [["start", "stop"], ["source-left"]]);
  await two.close();
  const three = await source();
  await until("QEMU is started again", () => starts.length === 2);
  starts[1]!.resolve();
  await three.untilReady("prepare", never);
  await three.close();
  await until("QEMU is stopped again", () => order.length === 6);
  assertEquals(order, ["start", "stop", "start", "open", "close", "stop"]);
});

for (const kind of ["failed", "cancelled", "unknown"] as const) {
  Deno.test(`a QEMU is ${kind === "unknown" ? "kept" : "stopped"} after an outcome that is ${kind}`, async () => {
    const { destination, order, starts, migrations, source } = started();
    const one = await source();
    await turns();
    starts[0]!.resolve();
    await one.untilReady("prepare", never);
    migrations[0]!.source = one.session;
    migrations[0]!.over.reject(failure(kind));
    await assertRejects(() => destination.outcome(), MigrationError, kind);
    assertEquals(order, ["start", "open", ...(kind === "unknown" ? [] : ["stop"])]);
    await one.close();
  });
}

Deno.test("a start that fails reaches the source with its code, after the stop", async () => {
  const { destination, order, starts, source } = started();
  const one = await source();
  const ready = one.untilReady("prepare", never);
  await turns();
  starts[0]!.reject(new MigrationError("failed", "start-failed", "destination", "no unit"));
  await assertRejects(() => ready, Error, "no unit");
  await assertRejects(() => destination.outcome(), MigrationError, "no unit");
  assertEquals(order, ["start", "stop"]);
  await one.close();
});

Deno.test("a cancel while QEMU is started stops it, and one before a source comes ends the wait", async () => {
  for (const hasSource of [true, false]) {
    const { destination, order, source } = started();
    const one = hasSource ? await source() : undefined;
    await turns();
    await destination.cancel(failure("cancelled"));
    await assertRejects(() => destination.outcome(), MigrationError, "cancelled");
    assertEquals(order, hasSource ? ["start", "stop"] : []);
    await one?.close();
  }
});

Deno.test("a source that does not ask whether QEMU is there has its calls wait, and a lost one has QEMU stopped", async () => {
  const real = await fakeDestination(systemClock);
  const { destination, order, starts, source } = started(() => real.migration);
  const one = await source();
  const preparing = one.prepare(announced("one"), never);
  await turns();
  starts[0]!.resolve();
  assertEquals((await preparing).exports.length, 1);
  const outcome = assertRejects(() => destination.outcome(), MigrationError);
  one.session.abort("gone", "stopped");
  await outcome;
  assertEquals(order, ["start", "open", "stop"]);
  await real.end();
});
