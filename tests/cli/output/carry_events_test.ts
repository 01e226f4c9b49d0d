import { assertEquals } from "@std/assert";
import { CarryEvents } from "../../../src/cli/output/carry_events.ts";
import type { CliEvent } from "../../../src/cli/output/events.ts";
import { lineOf } from "../../../src/cli/output/lines.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const TOTAL = 40;

/** The events of a copy that sends one byte each `ms`. */
async function copy(ms: number): Promise<CliEvent[]> {
  const clock = new ManualClock();
  const events: CliEvent[] = [];
  const carry = new CarryEvents((event) => events.push(event), clock);
  for (let sent = 0; sent <= TOTAL; sent++) {
    carry.onProgress({ host: "host2", sent, total: TOTAL });
    await clock.advance(ms);
  }
  return events;
}

Deno.test("a copy of the program that takes less than a second is not reported", async () => {
  assertEquals(await copy(1000 / TOTAL - 1), []);
});

Deno.test("a slow copy of the program is reported each second, and at its end", async () => {
  const sent = (await copy(300)).map((event) => event.event === "carry" && event.sent);
  assertEquals(sent, [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]);
  assertEquals((await copy(450)).map((e) => e.event === "carry" && e.sent).slice(-2), [39, 40]);
});

Deno.test("the progress of a copy of the program is one line for people", () => {
  const event = { event: "carry", host: "host2", sent: 10, total: TOTAL } as const;
  assertEquals(lineOf(event, false), "vmferry: copying vmferry to host2: 25 %");
  assertEquals(lineOf(event, true), undefined);
});
