import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BytePipe, silentLogger, systemClock, writeAll } from "../../src/io/mod.ts";
import { connectTcp, makeTicketIdentity } from "../../src/transport/mod.ts";
import { connectTicket, listenTicket } from "../../src/transport/ticket/connection.ts";
import {
  connectSession,
  type Local,
  type Session,
  SessionError,
  SessionServer,
  successorSecret,
} from "../../src/tunnel/mod.ts";
import { ticketAnchor } from "../../src/transport/ticket/self_signed.ts";

const identity = await makeTicketIdentity();
const common = { graceMs: 0, version: "1.0.0" };

/** Both ends of one connection under the ticket. */
async function joined(): Promise<[BytePipe, BytePipe, Disposable]> {
  const acceptor = listenTicket("127.0.0.1", 0, identity);
  const [near, far] = await Promise.all([
    connectTicket("127.0.0.1", portOf(acceptor.address), identity.publicKey),
    acceptor.accept(),
  ]);
  const close = () => [near, far!, acceptor].forEach((end) => end.close());
  return [near, far!, { [Symbol.dispose]: close }];
}

function portOf(address: string): number {
  return Number(address.split(":").at(-1));
}

async function hashOf(pipe: BytePipe, into: Uint8Array, length: number): Promise<string> {
  const all = new Uint8Array(length);
  let got = 0;
  for (let n; got < length && (n = await pipe.read(into)) !== null; got += n) {
    all.set(into.subarray(0, n), got);
  }
  assertEquals(got, length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all)).join();
}

Deno.test("bytes over TLS come in order, whatever the sizes of writes and reads", async () => {
  const length = 24 << 20;
  const sent = new Uint8Array(length);
  const random = new Uint32Array(sent.buffer);
  for (let i = 0, x = 1; i < random.length; i++) random[i] = x = Math.imul(x, 1664525) + 1013904223;
  const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", sent)).join();
  for (const [write, read] of [[1 << 20, 1 << 18], [5000, 777], [16384, 16385], [70001, 1 << 16]]) {
    const [near, far, both] = await joined();
    using _both = both;
    for (const [from, to] of [[near, far], [far, near]] as const) {
      const writing = async () => {
        for (let at = 0; at < length; at += write!) {
          await writeAll(from, sent.subarray(at, at + write!));
        }
      };
      const [hash] = await Promise.all([hashOf(to, new Uint8Array(read!), length), writing()]);
      assertEquals(hash, expected, `${write} written, ${read} read`);
    }
  }
});

Deno.test("the end of a TLS connection comes after its last byte, once and for all", async () => {
  const [near, far, both] = await joined();
  using _both = both;
  await writeAll(near, new Uint8Array(100_000));
  await near.closeWrite();
  const buffer = new Uint8Array(64);
  let got = 0;
  for (let n; (n = await far.read(buffer)) !== null;) got += n;
  assertEquals([got, await far.read(buffer)], [100_000, null]);
});

Deno.test("a read that is under way ends when its own end closes", async () => {
  const [near, _far, both] = await joined();
  using _both = both;
  const reading = near.read(new Uint8Array(10));
  near.close();
  near.close();
  await assertRejects(() => reading);
});

Deno.test("only the ticket's key is trusted: not another one of the same name", async () => {
  const acceptor = listenTicket("127.0.0.1", 0, identity);
  const { publicKey } = await makeTicketIdentity();
  const port = portOf(acceptor.address);
  const accepting = acceptor.accept();
  const error = await assertRejects(() => connectTicket("127.0.0.1", port, publicKey), Error);
  assert(error.message.includes("another host is in between"), error.message);
  const there = await accepting;
  const refusal = await assertRejects(() => there!.read(new Uint8Array(1)), Error);
  assert(refusal.message.includes("does not take this end's certificate"), refusal.message);
  there!.close();
  acceptor.close();
});

Deno.test("a certificate and the anchor made of its key differ in the signature alone", () => {
  const bytes = (pem: string) =>
    Uint8Array.from(atob(pem.replace(/-----[^-]+-----|\n/g, "")), (c) => c.charCodeAt(0));
  const [own, anchor] = [bytes(identity.certificate), bytes(ticketAnchor(identity.publicKey))];
  assertEquals(own.length, anchor.length);
  assertEquals(own.subarray(0, -64), anchor.subarray(0, -64));
});

Deno.test("plain tcp and TLS tell each other apart", async () => {
  const acceptor = listenTicket("127.0.0.1", 0, identity);
  const plain = await connectTcp("127.0.0.1", portOf(acceptor.address));
  const there = await acceptor.accept();
  await writeAll(plain, new TextEncoder().encode("\x89VMFERRY\r\n\x1a\n and more of it"));
  const error = await assertRejects(() => there!.read(new Uint8Array(16)), Error);
  assert(error.message.includes("is not TLS"), error.message);
  const alert = new Uint8Array(16);
  await plain.read(alert);
  assertEquals([...alert.subarray(0, 2)], [0x15, 0x03]);
  for (const end of [plain, there!, acceptor]) end.close();
});

/** What came of connecting with `local` to a listening end with `server`. */
async function attempt(server: Local, local: Local): Promise<string | Session> {
  const acceptor = listenTicket("127.0.0.1", 0, identity);
  const sessions: Session[] = [];
  const serving = new SessionServer(acceptor, {
    local: server,
    clock: systemClock,
    log: silentLogger,
    onSession: (session) => sessions.push(session),
  });
  try {
    const session = await connectSession({
      dial: (signal) =>
        connectTicket("127.0.0.1", portOf(acceptor.address), identity.publicKey, signal),
      local,
      clock: systemClock,
      log: silentLogger,
      connectMs: 5000,
      mayReconnect: false,
    });
    await session.close();
    return session;
  } catch (error) {
    assert(error instanceof SessionError && error.code === "refused", String(error));
    assertEquals(sessions, []);
    return error.message;
  } finally {
    await serving.close();
    for (const session of sessions) await session.close();
  }
}

Deno.test("the secret opens a session only where it is bound to the ticket's certificate", async () => {
  const secret = new Uint8Array(16).fill(1);
  const binding = identity.publicKey;
  const server = { ...common, secret, binding };
  const session = await attempt(server, server);
  assert(typeof session === "object");
  for (
    const wrong of [
      { ...server, secret: new Uint8Array(16).fill(2) },
      { ...server, binding: (await makeTicketIdentity()).publicKey },
      { ...common, secret },
    ]
  ) {
    const said = await attempt(server, wrong);
    assert(typeof said === "string" && said.includes("secrets of the two ends"), String(said));
  }
});

Deno.test("a used ticket is refused, its successor is accepted", async () => {
  const secret = new Uint8Array(16).fill(1);
  const binding = identity.publicKey;
  const first = await attempt({ ...common, secret, binding }, { ...common, secret, binding });
  assert(typeof first === "object");
  const successor = await successorSecret(first.identity);
  const used = { ...common, secret: successor, spent: secret, binding };
  const again = await attempt(used, { ...common, secret, binding });
  assert(typeof again === "string" && again.includes("already been used"), String(again));
  assert(typeof await attempt(used, { ...common, secret: successor, binding }) === "object");
});
