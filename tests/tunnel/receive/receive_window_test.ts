import { assertEquals } from "@std/assert";
import * as limits from "../../../src/tunnel/limits.ts";
import { ReceiveWindow } from "../../../src/tunnel/receive/receive_window.ts";

const KiB = 1024;

/** A window whose reader takes `msEach` for half of what it was granted, each time; the sizes. */
function used(window: ReceiveWindow, msEach: readonly number[], rttMs: number): number[] {
  let now = 0;
  return msEach.map((ms) => {
    const bytes = Math.ceil(window.creditOut / 2);
    window.receive(bytes);
    window.consume(bytes);
    assertEquals(window.worthGranting, true);
    now += ms;
    window.grant(now, rttMs, limits.STREAM_WINDOW);
    return window.creditOut / KiB;
  });
}

const first = () => new ReceiveWindow(limits.FIRST_WINDOW, 0);

Deno.test("a window doubles while half of it is used up within 4 ms and 1.5 round trips", () => {
  assertEquals(used(first(), [1, 3.9, 4.1, 100], 0), [128, 256, 256, 256]);
  assertEquals(used(first(), [18, 20], 10), [128, 128]);
});

Deno.test("a narrow window needs a reader four times as fast, and shrinks with a slow one", () => {
  const narrow = () => {
    const window = first();
    window.narrow();
    return window;
  };
  assertEquals(used(narrow(), [0.9, 0.9, 0.9, 1.1, 3.9], 0), [128, 256, 512, 512, 512]);
  assertEquals(
    used(narrow(), [0.9, 0.9, 0.9, 5, 5, 5, 5], 0),
    [128, 256, 512, 256, 128, 64, 64],
  );
});

Deno.test("a narrow window grows with the round trip", () => {
  const window = first();
  window.narrow();
  assertEquals(used(window, [50, 60, 70, 80, 200, 320], 50), [128, 256, 512, 512, 512, 256]);
});
