import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError, type MigrationEvent } from "../../../src/migrate/mod.ts";
import { sendFiles, type SendStream } from "../../../src/launch/source/send.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";

/** A stream that takes `most` bytes at a time, and none once `stuck`. */
class FakeStream implements SendStream {
  received: number[] = [];
  log: string[] = [];
  stuck = false;
  #failed = Promise.withResolvers<never>();

  constructor(readonly most: number) {
    this.#failed.promise.catch(() => {});
  }

  async write(from: Uint8Array): Promise<number> {
    if (this.stuck) return await this.#failed.promise;
    const taken = from.subarray(0, this.most);
    this.received.push(...taken);
    return taken.length;
  }

  closeWrite(): Promise<void> {
    this.log.push("closeWrite");
    return Promise.resolve();
  }

  read(): Promise<number | null> {
    return Promise.resolve(null);
  }

  widenWindow(): void {}

  reset(_code: unknown, reason: string): void {
    this.log.push(`reset ${reason}`);
    this.#failed.reject(new Error(reason));
  }

  close(): void {
    this.log.push("close");
  }
}

function setUp(content: Uint8Array, { sizeBytes = content.length, most = 3 } = {}) {
  const stream = new FakeStream(most);
  const clock = new ManualClock();
  const events: MigrationEvent[] = [];
  const stop = new AbortController();
  const copy = {
    ...{ name: "cd", from: "/cd.iso", path: "/cd.iso", channel: "file-0" },
    ...{ sizeBytes, sha256: "", mode: 0o644 },
  };
  let at = 0;
  const send = () =>
    sendFiles([copy], {
      peer: { session: { patienceMs: 1000 }, openChannel: () => Promise.resolve(stream) },
      open: () =>
        Promise.resolve({
          read: (into) => {
            const part = content.subarray(at, at + Math.min(4, into.length));
            at += part.length;
            into.set(part);
            return Promise.resolve(part.length === 0 ? null : part.length);
          },
          [Symbol.dispose]: () => stream.log.push("file closed"),
        }),
      report: (event) => events.push(event),
      clock,
      signal: stop.signal,
    });
  return { stream, clock, events, stop, send };
}

const CONTENT = Uint8Array.from({ length: 10 }, (_, i) => i);

Deno.test("a file is sent whole through short writes, and its end is reported", async () => {
  const { stream, events, send } = setUp(CONTENT);
  await send();
  assertEquals(stream.received, [...CONTENT]);
  assertEquals(stream.log, ["closeWrite", "close", "file closed"]);
  const last = events.at(-1)!;
  assertEquals(last.event === "progress" && last.disks, [
    { name: "cd", transferred: 10, total: 10, ready: true },
  ]);
});

Deno.test("a file that is shorter or longer than planned fails the launch", async () => {
  for (const sizeBytes of [9, 11]) {
    const { stream, send } = setUp(CONTENT, { sizeBytes });
    const error = await assertRejects(send, MigrationError);
    assertEquals(error.code, "file-changed");
    assertEquals(stream.log.includes("closeWrite"), false);
  }
});

Deno.test("a cancel ends the sending with its reason", async () => {
  const { stream, stop, send } = setUp(CONTENT);
  stream.stuck = true;
  const sending = send();
  await settle();
  stop.abort(new Error("cancelled here"));
  await assertRejects(() => sending, Error, "cancelled here");
  assertEquals(stream.log.includes("file closed"), true);
});

Deno.test("a destination that takes nothing more fails the launch", async () => {
  const { stream, clock, send } = setUp(CONTENT);
  stream.stuck = true;
  const sending = assertRejects(send, Error, "for the destination to take /cd.iso");
  await settle();
  await clock.advance(400_000);
  await clock.advance(400_000);
  await sending;
});
