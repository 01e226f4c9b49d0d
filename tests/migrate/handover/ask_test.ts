import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/errors.ts";
import type { MigrationEvent } from "../../../src/migrate/events.ts";
import { type AskedPeer, handOver, reportAnswered } from "../../../src/migrate/handover/ask.ts";
import type { DestinationState } from "../../../src/migrate/handover/states.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const GRACE_MS = 60_000;

type Answer = string | Error | Promise<never>;

/** A destination that gives the answers in `finish` and `state`; its calls are in `asked`, in order. */
class FakeDestination {
  readonly clock = new ManualClock();
  readonly asked: string[] = [];
  readonly warned: string[] = [];
  sessionState: "up" | "ended" = "up";
  /** The next answers to `finish`; the last one is given again and again. */
  finish: Answer[] = ["running"];
  state: DestinationState = "finished";
  connect: (signal: AbortSignal) => Promise<AskedPeer> = () => Promise.resolve(this.peer("fresh "));

  peer(name = ""): AskedPeer {
    const note = (call: string) => void this.asked.push(name + call);
    const state = () => this.sessionState;
    return {
      session: {
        get state() {
          return state();
        },
      },
      finish: async (run) => {
        note(run ? "finish" : "finish paused");
        const answer = this.finish.length > 1 ? this.finish.shift()! : this.finish[0]!;
        if (typeof answer === "string") return { status: answer };
        throw await answer;
      },
      status: (migration) => {
        note(`status ${migration}`);
        return Promise.resolve({ state: this.state, guest: "running" });
      },
      attach: (migration) => {
        note(`attach ${migration}`);
        return Promise.resolve({ state: this.state, exports: [] });
      },
      close: () => Promise.resolve(note("close")),
    };
  }

  handOver(peer: AskedPeer | null = this.peer(), run = true): Promise<string | null> {
    const given = handOver({
      ...{
        peer: peer ?? undefined,
        migration: "m",
        run,
        graceMs: GRACE_MS,
        clock: this.clock,
        log: silentLogger,
      },
      connect: (signal) => this.connect(signal),
      report: (event: MigrationEvent) => event.event === "warning" && this.warned.push(event.code),
    });
    given.catch(() => {});
    return given;
  }
}

const timedOut = () => new Error("no answer in time");

Deno.test("a destination that runs the guest is asked once", async () => {
  const destination = new FakeDestination();
  assertEquals(await destination.handOver(), "running");
  assertEquals([destination.asked, destination.warned], [["finish"], []]);
});

Deno.test("a guest that was paused is handed over as one that stays paused", async () => {
  const destination = new FakeDestination();
  destination.finish = ["paused"];
  assertEquals(await destination.handOver(destination.peer(), false), "paused");
  assertEquals([destination.asked, destination.warned], [["finish paused"], []]);
});

Deno.test("a guest that ran and does not run any more is reported", async () => {
  const destination = new FakeDestination();
  destination.finish = ["io-error"];
  assertEquals(await destination.handOver(), "io-error");
  assertEquals(destination.warned, ["guest-stands"]);
});

for (const [code, kind] of [["not-started", "failed"], ["lost", "unknown"]] as const) {
  Deno.test(`the answer "${code}" is final and means ${kind}`, async () => {
    const destination = new FakeDestination();
    destination.finish = [new RpcError(code, "why")];
    const error = await assertRejects(() => destination.handOver(), MigrationError, "why");
    assertEquals([error.kind, error.code, destination.asked], [kind, code, ["finish"]]);
  });
}

Deno.test("without an answer the same session is asked again every 500 ms", async () => {
  const destination = new FakeDestination();
  destination.finish = [timedOut(), new RpcError("failed", "not attached"), "running"];
  const given = destination.handOver();
  await destination.clock.advance(499);
  assertEquals(destination.asked, ["finish"]);
  await destination.clock.advance(501);
  assertEquals(await given, "running");
  assertEquals(destination.asked, ["finish", "finish", "finish"]);
});

Deno.test("when the session is dead a fresh one asks for the state and is closed", async () => {
  const destination = new FakeDestination();
  destination.sessionState = "ended";
  assertEquals(await destination.handOver(), "running");
  assertEquals(destination.asked, ["fresh status m", "fresh close"]);
  assertEquals(destination.warned, ["asking-again"]);
});

for (const state of ["loaded", "starting"] as const) {
  Deno.test(`a fresh session attaches to a destination that is ${state} before it asks for the guest to run`, async () => {
    const destination = new FakeDestination();
    destination.state = state;
    assertEquals(await destination.handOver(null), "running");
    assertEquals(
      destination.asked,
      ["fresh status m", "fresh attach m", "fresh finish", "fresh close"],
    );
  });
}

for (
  const [state, kind, code] of [
    ["failed", "failed", "not-started"],
    ["lost", "unknown", "lost"],
  ] as const
) {
  Deno.test(`a destination that is ${state} is a final answer of a fresh session`, async () => {
    const destination = new FakeDestination();
    destination.state = state;
    const error = await assertRejects(() => destination.handOver(null), MigrationError);
    assertEquals([error.kind, error.code], [kind, code]);
    assertEquals(destination.asked, ["fresh status m", "fresh close"]);
  });
}

Deno.test("a destination that does not know the guest is asked until the grace is over, then nobody knows", async () => {
  const destination = new FakeDestination();
  destination.state = "waiting";
  const given = destination.handOver(null);
  await destination.clock.advance(GRACE_MS - 1);
  const before = destination.asked.length;
  await destination.clock.advance(501);
  const error = await assertRejects(() => given, MigrationError, '"waiting"');
  assertEquals([error.kind, error.code], ["unknown", "handover-unanswered"]);
  await destination.clock.advance(60_000);
  assertEquals(destination.asked.length - before <= 2, true, "no question after the end");
});

Deno.test("a destination that cannot be reached for a while is asked once it can", async () => {
  const destination = new FakeDestination();
  const { connect } = destination;
  destination.connect = () => Promise.reject(new Error("refused"));
  const given = destination.handOver(null);
  await destination.clock.advance(GRACE_MS / 2);
  destination.connect = connect;
  await destination.clock.advance(500);
  assertEquals(await given, "running");
});

Deno.test("a connection that is not made within 30 s is given up, and made again", async () => {
  const destination = new FakeDestination();
  const { connect } = destination;
  let connects = 0;
  destination.connect = (signal) => {
    if (++connects > 1) return connect(signal);
    return new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true })
    );
  };
  const given = destination.handOver(null);
  await destination.clock.advance(29_999);
  assertEquals(connects, 1);
  await destination.clock.advance(501);
  assertEquals([await given, connects], ["running", 2]);
  assertEquals(destination.clock.armed, 0);
});

Deno.test("a live session that never answers is left for fresh ones after the grace and five minutes", async () => {
  const destination = new FakeDestination();
  destination.finish = [timedOut()];
  const given = destination.handOver();
  await destination.clock.advance(GRACE_MS + 299_000);
  assertEquals(destination.asked.some((call) => call.startsWith("fresh")), false);
  await destination.clock.advance(2_000);
  assertEquals(await given, "running");
  assertEquals(destination.asked.slice(-2), ["fresh status m", "fresh close"]);
});

Deno.test("a source that has heard the answer asks for the state once, so that the destination knows", async () => {
  const destination = new FakeDestination();
  const { clock } = destination;
  await reportAnswered({ migration: "m", clock, connect: destination.connect });
  assertEquals([destination.asked, clock.armed], [["fresh status m", "fresh close"], 0]);
});
