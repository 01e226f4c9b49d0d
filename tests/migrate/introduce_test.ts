import { assertEquals } from "@std/assert";
import { silentLogger, systemClock } from "../../src/io/mod.ts";
import { type Handlers, RpcError, RpcPeer } from "../../src/rpc/mod.ts";
import type { MigrationEvent } from "../../src/migrate/mod.ts";
import { introduce, reportPeer } from "../../src/migrate/session/introduce.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

const SOURCE = {
  ...{ host: "host-a", command: "migrate" },
  settings: [{ name: "--verify", value: "" }],
};
const DESTINATION = {
  ...{ host: "host-b", command: "receive", settings: [], qemuVersion: "10.0.2" },
};

/** What each end reports when a source introduces itself to a destination with these handlers. */
async function reported(own: typeof SOURCE | undefined, handlers: Handlers) {
  const pipes = memoryPipe();
  const common = { clock: systemClock, log: silentLogger, onFault: () => {} };
  const there = new RpcPeer(pipes[1], { ...common, handlers });
  const here = new RpcPeer(pipes[0], { ...common, handlers: {} });
  const events: MigrationEvent[] = [];
  await introduce((said) => here.call("introduce", said, { timeoutMs: 5000 }), {
    ...{ own, qemuVersion: "7.2.0", report: (event: MigrationEvent) => void events.push(event) },
  });
  for (const pipe of pipes) pipe.close();
  await Promise.all([there.join(), here.join()]);
  return events;
}

Deno.test("both ends report the other's host, QEMU, command and settings", async () => {
  const there: MigrationEvent[] = [];
  const events = await reported(SOURCE, {
    introduce: (said) => {
      reportPeer((event) => void there.push(event), "source", said);
      return Promise.resolve(DESTINATION);
    },
  });
  assertEquals(there, [{ event: "host", side: "source", ...SOURCE, qemuVersion: "7.2.0" }]);
  assertEquals(events, [{ event: "host", side: "destination", ...DESTINATION }]);
});

Deno.test("an older destination, or one that refuses, is not introduced to, and the migration goes on", async () => {
  assertEquals(await reported(SOURCE, {}), []);
  const refuses = () => Promise.reject(new RpcError("failed", "no"));
  assertEquals(await reported(SOURCE, { introduce: refuses }), []);
});

Deno.test("a source that is not to introduce itself does not call", async () => {
  let calls = 0;
  const introduce = () => {
    calls++;
    return Promise.resolve(DESTINATION);
  };
  assertEquals([await reported(undefined, { introduce }), calls], [[], 0]);
});
