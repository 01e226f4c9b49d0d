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
  assertEquals(used(first(), [1, 3.9, 4.1, 15.9], 0), [128, 256, 256, 256]);
  assertEquals(used(first(), [18, 20], 10), [128, 128]);
});

Deno.test("a window shrinks while half of it lasts four times as long, but not below its first size", () => {
  assertEquals(used(first(), [1, 1, 1, 17, 17, 17, 17], 0), [128, 256, 512, 256, 128, 64, 64]);
  const wide = first();
  wide.widen(200 * KiB);
  assertEquals(used(wide, [1, 1, 200, 200, 200], 0), [200, 400, 200, 200, 200]);
});

Deno.test("a narrow window needs a reader four times as fast", () => {
  const narrow = () => {
    const window = first();
    window.narrow();
    return window;
  };
  assertEquals(used(narrow(), [0.9, 0.9, 0.9, 1.1, 3.9], 0), [128, 256, 512, 512, 512]);
});

Deno.test("a narrow window grows with the round trip", () => {
  const window = first();
  window.narrow();
  assertEquals(used(window, [50, 60, 70, 80, 200, 320], 50), [128, 256, 512, 512, 512, 256]);
});
