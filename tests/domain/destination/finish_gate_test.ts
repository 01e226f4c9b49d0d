import { assert, assertEquals } from "@std/assert";
import { FinishGate, FinishScanner } from "../../../src/domain/destination/finish_gate.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { settle } from "../../support/manual_clock.ts";

/** A call of libvirt's remote program with a body of zeroes. */
function call(procedure: number, bodyBytes = 40): Uint8Array {
  const bytes = new Uint8Array(28 + bodyBytes);
  const view = new DataView(bytes.buffer);
  [bytes.length, 0x20008086, 1, procedure, 0, 7, 0].forEach((n, i) => view.setUint32(4 * i, n));
  return bytes;
}

const FINISH3_PARAMS = 306;

Deno.test("Finish is found behind other calls, however the bytes are cut", () => {
  const bytes = [...call(1), ...call(66, 0), ...call(FINISH3_PARAMS)];
  for (const size of [1, 3, 15, 16, 17, 200]) {
    const scanner = new FinishScanner();
    const head = bytes.length - 68 + 15;
    for (let at = 0; at < head; at += size) {
      scanner.push(new Uint8Array(bytes.slice(at, Math.min(head, at + size))));
    }
    assert(!scanner.found, `found before its procedure is whole, by ${size} bytes`);
    scanner.push(new Uint8Array(bytes.slice(head)));
    assert(scanner.found, `not found by ${size} bytes`);
  }
});

Deno.test("calls that start no guest pass", () => {
  const scanner = new FinishScanner();
  for (const procedure of [1, 2, 12, 66, 301, 304, 305, 307]) scanner.push(call(procedure));
  assert(!scanner.found);
});

Deno.test("bytes that are no message of libvirt count as Finish", () => {
  const scanner = new FinishScanner();
  scanner.push(new Uint8Array(16).fill(255));
  assert(scanner.found);
});

Deno.test("Finish waits for the journal", async () => {
  const [near, far] = memoryPipe();
  const written = Promise.withResolvers<void>();
  const gate = new FinishGate(near, () => written.promise);
  const writing = gate.write(call(FINISH3_PARAMS));
  const into = new Uint8Array(200);
  let got: number | null = 0;
  const reading = far.read(into).then((n) => got = n);
  await settle();
  assertEquals(got, 0);
  written.resolve();
  await writing;
  await reading;
  assertEquals(got, 68);
});

Deno.test("Finish does not pass when the journal cannot be written", async () => {
  const [near, far] = memoryPipe();
  const gate = new FinishGate(near, () => Promise.reject(new Error("no space")));
  const failed = await gate.write(call(FINISH3_PARAMS)).then(() => false, () => true);
  assert(failed);
  near.close();
  assertEquals(await far.read(new Uint8Array(1)), null);
});
