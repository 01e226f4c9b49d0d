import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import type { DestinationState } from "../../../src/migrate/mod.ts";
import { DestinationLink, type LinkContext } from "../../../src/migrate/source/destination_link.ts";
import { SessionError } from "../../../src/tunnel/mod.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { FakePeer } from "./fake_peer.ts";

const never = new AbortController().signal;
const ABORT = { reason: "Cancelled", cancelled: true, code: "cancelled", side: "source" } as const;
/** How a session ends whose destination was started again. */
const FORGOTTEN = new SessionError("lost", "No such session", {
  cause: new SessionError("refused", "No such session", { refusal: "unknown-session" }),
});

/** A link to a destination of which `peers` can be reached, one after the other. */
function link(first: FakePeer | undefined, peers: readonly FakePeer[], graceMs = 10_000) {
  const clock = new ManualClock();
  const faults: string[] = [];
  const adopted: unknown[] = [];
  const queue = [...peers];
  let tries = 0;
  const state = { mayReconnect: true };
  const context: LinkContext = {
    ...{ migration: "one", graceMs, clock, log: silentLogger, statesThere: ["prepared"] },
    get mayReconnect() {
      return state.mayReconnect;
    },
    connect: () => {
      tries++;
      const peer = queue.shift();
      return peer ? Promise.resolve(peer.peer) : Promise.reject(new Error("Connection refused"));
    },
    adopt: (peer) => void adopted.push(peer),
    fault: (cause) => void faults.push(cause instanceof Error ? cause.message : String(cause)),
  };
  const made = new DestinationLink(first?.peer, context);
  return { link: made, clock, faults, adopted, state, queue, tries: () => tries };
}

Deno.test("a destination whose tool was started again is attached to the migration", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  const { link: made, clock, faults, adopted } = link(before, [after]);
  [before.bytes, after.bytes] = [100, 20];
  before.end(FORGOTTEN);
  await settle();
  assertEquals([made.peer === after.peer, made.waiting, faults], [true, false, []]);
  assertEquals([adopted.length, made.bytes], [1, 120]);
  assertEquals(await made.ready() === after.peer, true);
  assertEquals(clock.armed, 0);
});

Deno.test("a session of which one connection is lost for good is replaced at once", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  const { link: made, faults } = link(before, [after]);
  before.end(new SessionError("lost", "timed out").of("connection 3 of 4"));
  await settle();
  assertEquals([made.peer === after.peer, faults], [true, []]);
});

Deno.test("a destination that does not resume says which connection was lost before", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  after.attached = () => Promise.resolve({ state: "failed" });
  const { faults } = link(before, [after]);
  before.end(new SessionError("lost", "timed out").of("connection 3 of 4"));
  await settle();
  assertEquals(faults, [
    'The destination cannot resume the migration, it is in state "failed". Before: timed out ' +
    "(connection 3 of 4)",
  ]);
});

Deno.test("a destination that is not there yet is tried again until it is", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  const { link: made, clock, faults, queue, tries } = link(before, []);
  before.end(FORGOTTEN);
  await clock.advance(3000);
  assertEquals([made.waiting, faults, tries() > 3], [true, [], true]);
  queue.push(after);
  await clock.advance(1000);
  assertEquals([made.waiting, made.peer === after.peer, faults], [false, true, []]);
});

Deno.test("a destination that never comes back is lost after the grace, and tried no more", async () => {
  const before = new FakePeer();
  const { link: made, clock, faults, tries } = link(before, [], 10_000);
  before.end(FORGOTTEN);
  await clock.advance(9000);
  assertEquals(faults, []);
  await clock.advance(2000);
  assertEquals(faults.length, 1);
  assertEquals(faults[0]!.includes("Connection refused"), true, faults[0]);
  const error = await assertRejects(() => made.ready()) as Error & { code: string };
  assertEquals(error.code, "not-taken-up");
  const before2 = tries();
  await clock.advance(60_000);
  assertEquals([tries(), made.waiting], [before2, false]);
});

Deno.test("a session that ends for another reason is a fault at once", async () => {
  const before = new FakePeer();
  const { link: made, faults, tries } = link(before, [new FakePeer()]);
  before.end(new SessionError("lost", "Nothing was heard"));
  await settle();
  assertEquals([faults, tries(), made.waiting], [["Nothing was heard"], 0, false]);
});

Deno.test("a destination that is started again once RAM crosses is a fault at once", async () => {
  const before = new FakePeer();
  const { faults, state, tries } = link(before, [new FakePeer()]);
  state.mayReconnect = false;
  before.end(FORGOTTEN);
  await settle();
  assertEquals([faults, tries()], [["No such session"], 0]);
});

Deno.test("a link whose session ended in the handover connects another peer when it is renewed, once", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  const { link: made, faults, state, tries } = link(before, [after]);
  made.renew();
  state.mayReconnect = false;
  before.end(FORGOTTEN);
  await settle();
  state.mayReconnect = true;
  made.renew();
  made.renew();
  await settle();
  assertEquals([made.peer === after.peer, made.waiting, tries()], [true, false, 1]);
  assertEquals(faults, ["No such session"]);
});

Deno.test("a destination that has another state is not attached, and its session closed", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  after.attached = () => Promise.resolve({ state: "failed" });
  const { link: made, faults } = link(before, [after]);
  before.end(FORGOTTEN);
  await settle();
  assertEquals([faults.length, after.closed, made.peer === before.peer], [1, 1, true]);
  assertEquals(faults[0]!.includes('"failed"'), true, faults[0]);
});

Deno.test("a session whose attach fails is closed, and the next one tried", async () => {
  const [before, broken, after] = [new FakePeer(), new FakePeer(), new FakePeer()];
  broken.attached = () => Promise.reject(new Error("It hung up"));
  const { link: made, clock, faults } = link(before, [broken, after]);
  before.end(FORGOTTEN);
  await clock.advance(1000);
  assertEquals([broken.closed, made.peer === after.peer, faults], [1, true, []]);
});

Deno.test("an abort while the destination is reconnected returns at once: it undoes by itself", async () => {
  const before = new FakePeer();
  const { link: made, clock } = link(before, []);
  before.end(FORGOTTEN);
  await clock.advance(1000);
  assertEquals(made.waiting, true);
  await made.abort(ABORT);
  assertEquals(before.aborted, 0);
  await made.close();
});

Deno.test("a migration that fails while the destination is reconnected ends the reconnecting", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  const { link: made, clock, state, queue, tries } = link(before, []);
  before.end(FORGOTTEN);
  await clock.advance(1000);
  state.mayReconnect = false;
  queue.push(after);
  const so = tries();
  await clock.advance(1000);
  assertEquals([made.waiting, tries()], [false, so]);
});

Deno.test("a link that is closed while it reconnects tries no more", async () => {
  const before = new FakePeer();
  const { link: made, clock, tries } = link(before, []);
  before.end(FORGOTTEN);
  await clock.advance(1000);
  const so = tries();
  await made.close();
  await clock.advance(60_000);
  assertEquals([made.waiting, tries(), clock.armed], [false, so, 0]);
});

Deno.test("the end of a session that was closed here is no fault", async () => {
  const before = new FakePeer();
  const { link: made, faults } = link(before, []);
  await made.close();
  before.end();
  await settle();
  assertEquals([faults, before.closed], [[], 1]);
});

Deno.test("a link without a first peer attaches one, and bytes count from zero", async () => {
  const after = new FakePeer();
  const { link: made, adopted } = link(undefined, [after]);
  assertEquals([made.peer, made.waiting, made.bytes], [undefined, true, 0]);
  assertEquals(await made.ready() === after.peer, true);
  assertEquals(adopted.length, 1);
});

Deno.test("a question is asked again of the peer that replaces the one that was asked", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  const { link: made } = link(before, [after]);
  const asked: unknown[] = [];
  const answer = made.withPeer((peer) => {
    asked.push(peer);
    if (peer === after.peer) return Promise.resolve("answer");
    before.end(FORGOTTEN);
    return Promise.reject(new Error("The session has ended"));
  }, never);
  assertEquals([await answer, asked.length], ["answer", 2]);
});

Deno.test("a question fails where the session lives, and where no other replaces it", async () => {
  const before = new FakePeer();
  const { link: made, state } = link(before, [new FakePeer()]);
  const refusing = () => Promise.reject(new Error("refused"));
  await assertRejects(() => made.withPeer(refusing, never), Error, "refused");
  state.mayReconnect = false;
  const ending = () => {
    before.end(FORGOTTEN);
    return refusing();
  };
  await assertRejects(() => made.withPeer(ending, never), Error, "refused");
});

Deno.test("a question ends with its signal while the destination is reconnected", async () => {
  const before = new FakePeer();
  const { link: made } = link(before, []);
  before.end(FORGOTTEN);
  await settle();
  const stop = new AbortController();
  const asking = made.withPeer(() => Promise.resolve(), stop.signal);
  stop.abort(new Error("Cancelled"));
  await assertRejects(() => asking, Error, "Cancelled");
  await made.close();
});

Deno.test("an abort that the destination cannot finish says what is not undone", async () => {
  const before = new FakePeer();
  before.answer = () => Promise.resolve(["the NBD server", "a setting"]);
  const { link: made } = link(before, []);
  await assertRejects(() => made.abort(ABORT), Error, "the NBD server; a setting");
});

Deno.test("two simultaneous aborts make one call, a later abort makes another", async () => {
  const before = new FakePeer();
  const { link: made } = link(before, []);
  await Promise.all([made.abort(ABORT), made.abort(ABORT)]);
  assertEquals(before.aborted, 1);
  await made.abort(ABORT);
  assertEquals(before.aborted, 2);
});

Deno.test("an abort does not wait for a connection that goes down, or a session that ends", async () => {
  for (const go of ["down", "ended"] as const) {
    const before = new FakePeer();
    const answer = Promise.withResolvers<readonly string[]>();
    before.answer = () => answer.promise;
    const { link: made } = link(before, []);
    const aborting = made.abort(ABORT);
    if (go === "down") before.link("down");
    else {
      before.end(new SessionError("lost", "gone"));
      answer.reject(new Error("The session has ended"));
    }
    await aborting;
    assertEquals(before.aborted, 1);
  }
});

Deno.test("a peer that is attached during the close is closed too", async () => {
  const [before, after] = [new FakePeer(), new FakePeer()];
  const answer = Promise.withResolvers<{ state: DestinationState }>();
  after.attached = () => answer.promise;
  const { link: made, adopted } = link(before, [after]);
  before.end(FORGOTTEN);
  await settle();
  const closing = made.close();
  answer.resolve({ state: "prepared" });
  await closing;
  await settle();
  assertEquals([after.closed, adopted.length], [1, 0]);
});
