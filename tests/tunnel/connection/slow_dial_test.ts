import { assertEquals, assertRejects } from "@std/assert";
import { connectSession, SessionError } from "../../../src/tunnel/mod.ts";
import { silentLogger } from "../../../src/io/mod.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const CONNECT_MS = 60_000;

/** Connects with a dial that never ends; `step` is its progress. */
function dialling(clock: ManualClock) {
  let step = () => {};
  let isAborted = false;
  const session = connectSession({
    dial: (signal, onProgress) => {
      step = onProgress!;
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          isAborted = true;
          reject(signal.reason);
        })
      );
    },
    local: { secret: undefined, graceMs: 0, version: "1.0.0" },
    clock,
    log: silentLogger,
    connectMs: CONNECT_MS,
    mayReconnect: false,
  });
  return { session, step: () => step(), isAborted: () => isAborted };
}

Deno.test("a dial without progress is given up after the deadline", async () => {
  const clock = new ManualClock();
  const { session, isAborted } = dialling(clock);
  const failed = assertRejects(() => session, SessionError, "Waited 60.0 s for the other end");
  await clock.advance(CONNECT_MS);
  await failed;
  assertEquals([isAborted(), clock.armed], [true, 0]);
});

Deno.test("a dial that makes progress is not given up, until the progress ends", async () => {
  const clock = new ManualClock();
  const { session, step, isAborted } = dialling(clock);
  const failed = assertRejects(() => session, SessionError, "Waited 60.0 s for the other end");
  for (let i = 0; i < 10; i++) {
    await clock.advance(CONNECT_MS - 1);
    step();
  }
  assertEquals(isAborted(), false);
  await clock.advance(CONNECT_MS * 9 / 8);
  await failed;
  assertEquals(isAborted(), true);
});
