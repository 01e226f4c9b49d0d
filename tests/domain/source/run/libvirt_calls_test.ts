import { assertEquals } from "@std/assert";
import { CallScanner } from "../../../../src/domain/source/run/libvirt_calls.ts";
import { message } from "../support.ts";

const FINISH3 = 217;
const FINISH3_PARAMS = 306;
const [RUN, CANCELLED] = [[9, 9, 9, 9, 0, 0, 0, 0], [9, 9, 9, 9, 0, 0, 0, 1]];

function callsIn(messages: readonly Uint8Array[], chunk = Infinity): string[] {
  const calls: string[] = [];
  const scanner = new CallScanner((call) => calls.push(call));
  const bytes = new Uint8Array(messages.flatMap((each) => [...each]));
  for (let at = 0; at < bytes.length; at += chunk) scanner.push(bytes.subarray(at, at + chunk));
  return calls;
}

Deno.test("Finish and the end of a connection are found in chunks of every size", () => {
  const messages = [
    message(5, [1, 2, 3]),
    message(FINISH3_PARAMS, RUN),
    message(FINISH3, RUN),
    message(2),
  ];
  for (const chunk of [1, 2, 3, 16, 17, 28, 1000]) {
    assertEquals(callsIn(messages, chunk), ["finish", "finish", "close"], `${chunk} bytes`);
  }
});

Deno.test("a Finish that cancels asks nobody to run the guest", () => {
  assertEquals(callsIn([message(FINISH3_PARAMS, CANCELLED), message(2)]), ["close"]);
});

Deno.test("other programs' messages, and bytes that are none, hold no calls", () => {
  assertEquals(callsIn([message(2, [], 0x6b656570)]), []);
  assertEquals(callsIn([new Uint8Array([0, 0, 0, 1, 2]), message(2)]), []);
});
