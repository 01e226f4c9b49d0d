import { assertEquals, assertRejects } from "@std/assert";
import { type BytePipe, silentLogger, systemClock } from "../../../../src/io/mod.ts";
import { ChannelListener, ChannelServer, openChannel, RpcPeer } from "../../../../src/rpc/mod.ts";
import { fenced } from "../../../../src/domain/source/run/fenced.ts";
import { VirshRun } from "../../../../src/domain/source/run/virsh_run.ts";
import { ManualClock } from "../../../support/manual_clock.ts";
import { memoryPipe } from "../../../support/memory_pipe.ts";
import { sessionPair } from "../../../tunnel/session_pair.ts";
import { FakeAcceptor, FakeProgram, message } from "../support.ts";

function running() {
  const order: string[] = [];
  const clock = new ManualClock();
  const run = new VirshRun({
    relay: { freeze: () => order.push("freeze") },
    ...{ clock, onCut: (reason: Error) => order.push(`cut: ${reason.message}`) },
  });
  const program = new FakeProgram(() => order.push("kill"));
  return { order, clock, run, program, ended: run.run(() => program, ["virsh"]) };
}

Deno.test("a cut freezes the source relay, then kills virsh, in the same turn", async () => {
  const { run, order, ended } = running();
  run.cut(new Error("lost"));
  assertEquals(order, ["freeze", "kill", "cut: lost"]);
  assertEquals((await ended).code, 137);
});

Deno.test("only the first reason of a cut counts", async () => {
  const { run, order, ended } = running();
  run.cut(new Error("first"));
  run.cut(new Error("second"));
  await ended;
  assertEquals(run.cutReason?.message, "first");
  assertEquals(order, ["freeze", "kill", "cut: first"]);
});

Deno.test("a virsh that has ended by itself is not cut", async () => {
  const { run, order, ended, program } = running();
  program.end(0);
  assertEquals((await ended).code, 0);
  run.cut(new Error("the session ended"));
  assertEquals(run.cutReason, undefined);
  assertEquals(order, []);
});

Deno.test("virsh is not started after a cut", async () => {
  const order: string[] = [];
  const run = new VirshRun({
    ...{ relay: { freeze: () => order.push("freeze") }, clock: systemClock, onCut: () => {} },
  });
  run.cut(new Error("lost"));
  const start = () => {
    order.push("start");
    return new FakeProgram();
  };
  await assertRejects(() => run.run(start, ["virsh"]), Error, "lost");
  assertEquals(order, ["freeze"]);
});

Deno.test("a virsh that is through with the destination is cut when it does not end", async () => {
  const { run, order, clock, ended } = running();
  run.goodbye();
  await clock.advance(14_000);
  assertEquals(order, []);
  await clock.advance(2_000);
  assertEquals(order.slice(0, 2), ["freeze", "kill"]);
  assertEquals((await ended).code, 137);
});

/** virsh with a connection to the destination's libvirt through a real session. */
async function connected() {
  const order: string[] = [];
  const { connecting, listening } = await sessionPair();
  const channels = new ChannelServer(listening);
  const [dialled, libvirt] = memoryPipe();
  channels.serve("libvirt", () => Promise.resolve(dialled));
  const options = { clock: systemClock, log: silentLogger, onFault: () => {} };
  const rpc = new RpcPeer(connecting.rpc, { ...options, handlers: {} });
  new RpcPeer(listening.rpc, { ...options, handlers: { openTunnel: (p) => channels.open(p) } });
  const run = new VirshRun({
    relay: { freeze: () => order.push("freeze") },
    ...{ clock: systemClock, onCut: () => {} },
  });
  const program = new FakeProgram(() => order.push("kill"));
  const ended = run.run(() => program, ["virsh"]);
  const acceptor = new FakeAcceptor();
  const [virsh, accepted] = memoryPipe();
  const { closeWrite, close } = accepted;
  accepted.closeWrite = () => {
    order.push("virsh sees the end");
    return closeWrite.call(accepted);
  };
  accepted.close = () => {
    if (!accepted.closed) order.push("virsh sees the end");
    close.call(accepted);
  };
  const listener = new ChannelListener(fenced(acceptor, run), "libvirt", {
    open: (name, signal) => openChannel(connecting, rpc, name, signal),
    log: silentLogger,
  });
  acceptor.push(accepted);
  await virsh.write(message(1));
  await libvirt.read(new Uint8Array(64));
  return { order, run, program, ended, connecting, listening, libvirt, virsh, listener };
}

/** Waits until virsh would see the end of its connection. */
async function endOf(pipe: BytePipe): Promise<void> {
  while (await pipe.read(new Uint8Array(64)).catch(() => null) !== null);
}

const RULE = ["freeze", "kill", "virsh sees the end"];

Deno.test("a lost session freezes and kills before virsh can see the end of its connection", async () => {
  const { order, connecting, virsh, listener, ended } = await connected();
  connecting.abort("lost", "stopped");
  await endOf(virsh);
  await ended;
  assertEquals(order.slice(0, 3), RULE);
  await listener.close();
});

Deno.test("a session that the destination ends freezes and kills before virsh can see it", async () => {
  const { order, listening, virsh, listener, ended, connecting } = await connected();
  listening.abort("stopped there", "stopped");
  await endOf(virsh);
  await ended;
  assertEquals(order.slice(0, 3), RULE);
  await connecting.ended;
  await listener.close();
});

Deno.test("a destination's libvirt that closes freezes and kills before virsh can see it", async () => {
  const { order, libvirt, virsh, listener, ended, connecting } = await connected();
  libvirt.close();
  await endOf(virsh);
  await ended;
  assertEquals(order.slice(0, 3), RULE);
  await listener.close();
  await connecting.close();
});

Deno.test("a listener that is closed here freezes and kills before virsh can see it", async () => {
  const { order, listener, virsh, ended, connecting } = await connected();
  const closing = listener.close();
  await endOf(virsh);
  await ended;
  assertEquals(order.slice(0, 3), RULE);
  await closing;
  await connecting.close();
});

Deno.test("a virsh that closes its connection without a word is frozen and killed", async () => {
  const { order, libvirt, virsh, listener, ended, connecting } = await connected();
  virsh.close();
  await endOf(libvirt);
  await ended;
  assertEquals(order.slice(0, 2), ["freeze", "kill"]);
  await listener.close();
  await connecting.close();
});

Deno.test("a virsh that says that it is through is neither frozen nor killed", async () => {
  const { order, libvirt, virsh, listener, ended, program, connecting } = await connected();
  await virsh.write(message(2));
  await libvirt.read(new Uint8Array(64));
  libvirt.close();
  await endOf(virsh);
  program.end(0);
  assertEquals((await ended).code, 0);
  virsh.close();
  await listener.close();
  assertEquals(order.filter((step) => step !== "virsh sees the end"), []);
  await connecting.close();
});
