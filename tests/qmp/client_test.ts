import { assertEquals, assertRejects } from "@std/assert";
import { QmpClient, QmpClosedError, QmpCommandError, QmpError } from "../../src/qmp/mod.ts";
import { type Commands, FakeQemu } from "../support/fake_qemu.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

async function open(commands: Commands = {}, chunk?: () => number) {
  const [ours, theirs] = memoryPipe(chunk ? { chunk } : {});
  const clock = new ManualClock();
  const qemu = new FakeQemu(theirs, commands);
  const client = await QmpClient.open(ours, { clock });
  return { client, qemu, clock };
}

const SILENT: Commands = { "query-status": () => undefined, "query-name": () => undefined };

Deno.test("the greeting, version and commands are read also one byte at a time", async () => {
  const { client } = await open({}, () => 1);
  assertEquals([client.version.major, client.version.minor, client.oob], [7, 2, true]);
  assertEquals([client.hasCommand("query-status"), client.hasCommand("quit")], [true, false]);
  client.close();
});

Deno.test("an answer of 12 MiB is one line", async () => {
  const schema = "x".repeat(12 << 20);
  const { client } = await open({ "query-qmp-schema": () => ({ return: schema }) }, () => 65536);
  assertEquals(await client.executeUntyped("query-qmp-schema"), schema);
  client.close();
});

Deno.test("answers are matched by id, in any order", async () => {
  const { client, qemu } = await open(SILENT);
  const status = client.executeUntyped("query-status");
  const name = client.executeUntyped("query-name");
  await settle();
  await qemu.answer("query-name", { return: "second" });
  await qemu.answer("query-status", { return: "first" });
  assertEquals([await status, await name], ["first", "second"]);
  client.close();
});

Deno.test("an event between a command and its answer is delivered and delays nothing", async () => {
  const { client, qemu } = await open(SILENT);
  const seen: string[] = [];
  client.onEvent(() => {
    throw new Error("a listener that fails");
  });
  client.onEvent(({ event, timestampMs }) => seen.push(`${event} ${timestampMs}`));
  const status = client.executeUntyped("query-status");
  await settle();
  await qemu.say({ event: "STOP", timestamp: { seconds: 2, microseconds: 500_000 } });
  await qemu.answer("query-status", { return: {} });
  await status;
  assertEquals(seen, ["STOP 2500"]);
  client.close();
});

Deno.test("a refused command fails with QEMU's reason, and the connection goes on", async () => {
  const { client } = await open({ "query-status": () => ({ return: { status: "running" } }) });
  const error = await assertRejects(() => client.executeUntyped("frobnicate"), QmpCommandError);
  assertEquals([error.class, error.command], ["CommandNotFound", "frobnicate"]);
  assertEquals(await client.executeUntyped("query-status"), { status: "running" });
  client.close();
});

Deno.test("a command without an answer in time fails, and its late answer is dropped", async () => {
  const { client, qemu, clock } = await open(SILENT);
  const late = assertRejects(
    () => client.executeUntyped("query-status", {}, { timeoutMs: 1000 }),
    QmpError,
    'QEMU did not answer "query-status" within 1 s',
  );
  await clock.advance(1000);
  await late;
  await qemu.answer("query-status", { return: "too late" });
  const name = client.executeUntyped("query-name");
  await settle();
  await qemu.answer("query-name", { return: "in time" });
  assertEquals(await name, "in time");
  client.close();
  assertEquals(clock.armed, 0);
});

Deno.test("a lost connection fails every waiting and every later command with the cause", async () => {
  const { client, qemu } = await open(SILENT);
  const waiters = ["query-status", "query-name"].map((command) =>
    assertRejects(() => client.executeUntyped(command), QmpClosedError, "QEMU shut down (guest-x)")
  );
  await settle();
  await qemu.say({ event: "SHUTDOWN", data: { reason: "guest-x" } });
  qemu.close();
  await Promise.all(waiters);
  assertEquals((await client.closed)?.message, "QEMU shut down (guest-x)");
  await assertRejects(() => client.executeUntyped("query-name"), QmpClosedError);
});

Deno.test("an aborted command fails at once with the signal's reason", async () => {
  const { client } = await open(SILENT);
  const controller = new AbortController();
  const waiting = assertRejects(
    () => client.executeUntyped("query-status", {}, { signal: controller.signal }),
    Error,
    "not any more",
  );
  controller.abort(new Error("not any more"));
  await waiting;
  client.close();
});

Deno.test("a socket without a greeting is reported as used by another client", async () => {
  const [ours, theirs] = memoryPipe();
  const clock = new ManualClock();
  new FakeQemu(theirs, {}, null);
  const opening = assertRejects(() => QmpClient.open(ours, { clock }), QmpError, "another client");
  await clock.advance(5000);
  await opening;
  assertEquals(ours.closed, true);
});

Deno.test("an error about a peer that is no QEMU quotes it without control characters", async () => {
  const [ours, theirs] = memoryPipe();
  await theirs.write(new TextEncoder().encode("SSH-2.0-\x1b[2Jevil\r\n"));
  await assertRejects(() => QmpClient.open(ours), QmpError, 'it sent "SSH-2.0-?[2Jevil');
});

Deno.test("a QEMU that greets and ends at once is reported as ended", async () => {
  const [ours, theirs] = memoryPipe();
  await theirs.write(new TextEncoder().encode('{"QMP": {"capabilities": []}}\n'));
  theirs.close();
  await assertRejects(() => QmpClient.open(ours), QmpClosedError, "has QEMU exited?");
});
