import { TLSSocket } from "node:tls";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BytePipe, systemClock, withDeadline, writeAll } from "../../../src/io/mod.ts";
import { connectTls, listenTls, type TlsCredentials } from "../../../src/transport/tls/tls.ts";
import { TransportError } from "../../../src/transport/errors.ts";
import { TlsError } from "../../../src/transport/tls/words.ts";
import { certificateNames, mayCome } from "../../../src/transport/tls/certificate_names.ts";
import { readPrivate } from "../../../src/cli/endpoint/private_file.ts";
import { readCredentials } from "../../../src/transport/tls/credentials.ts";
import { Pki } from "../../support/pki.ts";

const dir = await Deno.makeTempDir();
const pki = await Pki.make(dir);
const server = await readCredentials(
  await pki.directory("s", "server", ["s", "DNS:localhost", "IP:127.0.0.1"]),
  "server",
  readPrivate,
);
const client = await readCredentials(
  await pki.directory("c", "client", ["c"]),
  "client",
  readPrivate,
);
addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));

/** Whether this Deno can demand a client's certificate; one that can't must say so. */
const able = "getPeerX509Certificate" in TLSSocket.prototype;

function test(name: string, rule: () => Promise<void>): void {
  Deno.test(name, async () => {
    if (able) return await rule();
    const error = await assertRejects(() => listenTls("127.0.0.1", 0, server, [], () => {}), Error);
    assert(error.message.includes("Deno 2.9 or newer"), error.message);
  });
}

async function joined(credentials: TlsCredentials = client): Promise<{
  near: BytePipe;
  far: BytePipe;
  close(): void;
}> {
  const acceptor = await listenTls("127.0.0.1", 0, server, [], () => {});
  const port = Number(acceptor.address.split(":").at(-1));
  const [near, far] = await Promise.all([
    connectTls("127.0.0.1", port, credentials),
    acceptor.accept(),
  ]);
  return { near, far: far!, close: () => [near, far!, acceptor].forEach((end) => end.close()) };
}

test("bytes under certificates come in order, and a slow reader loses none", async () => {
  const { near, far, close } = await joined();
  const length = 8 << 20;
  const sent = new Uint8Array(length);
  for (let i = 0; i < length; i++) sent[i] = (i * 2654435761) >>> 24;
  for (const [from, to] of [[near, far], [far, near]] as const) {
    const writing = (async () => {
      for (let at = 0; at < length; at += 250_000) {
        await writeAll(from, sent.slice(at, at + 250_000));
      }
    })();
    const got = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const n = await to.read(got.subarray(at, at + 100_001));
      assert(n !== null && n > 0);
      at += n;
    }
    await writing;
    let same = true;
    for (let i = 0; i < length; i++) same &&= got[i] === sent[i];
    assert(same);
  }
  close();
});

test("under certificates one direction ends and the other goes on", async () => {
  const { near, far, close } = await joined();
  await writeAll(near, new Uint8Array(10));
  await near.closeWrite();
  const buffer = new Uint8Array(100);
  let got = 0;
  for (let n; (n = await far.read(buffer)) !== null;) got += n;
  assertEquals([got, await far.read(buffer)], [10, null]);
  await writeAll(far, new Uint8Array(20));
  await far.closeWrite();
  got = 0;
  for (let n; (n = await near.read(buffer)) !== null;) got += n;
  assertEquals(got, 20);
  close();
});

test("a read and a write under way end when their own end closes", async () => {
  const { near, close } = await joined();
  const reading = assertRejects(() => near.read(new Uint8Array(10)));
  near.close();
  near.close();
  await reading;
  await assertRejects(() => near.write(new Uint8Array(10)));
  close();
});

test("connections that never come to the end of their handshake keep nobody out", async () => {
  const acceptor = await listenTls("127.0.0.1", 0, server, [], () => {});
  const port = Number(acceptor.address.split(":").at(-1));
  const idle: Deno.Conn[] = [];
  for (let i = 0; i < 64; i++) idle.push(await Deno.connect({ hostname: "127.0.0.1", port }));
  const [near, far] = await Promise.all([
    connectTls("127.0.0.1", port, client),
    acceptor.accept(),
  ]);
  // The oldest made room, in whatever way its end was heard of.
  const end = idle[0]!.read(new Uint8Array(1)).catch(() => null);
  assertEquals(await withDeadline(systemClock, 5000, "the oldest to be ended", end), null);
  for (const end of [near, far!, acceptor, ...idle]) end.close();
});

Deno.test("the names of a certificate, and who may come", () => {
  const names = certificateNames({
    subject: { CN: "host1" },
    subjectaltname: "DNS:host1.example, IP Address:10.0.0.1, DNS:host1",
  });
  assertEquals(names, ["host1", "host1.example"]);
  assert(mayCome(names, []) && mayCome(names, ["HOST1.example"]));
  assert(!mayCome(names, ["host"]) && !mayCome(names, ["10.0.0.1"]) && !mayCome([], ["x"]));
  assertEquals(certificateNames({}), []);
});

test("a CA that the whole host trusts is not trusted: only the one in ca-cert.pem is", async () => {
  const hosts = await Deno.makeTempDir();
  try {
    const everybodys = await Pki.make(hosts, "a CA that everybody trusts");
    const names = ["s", "DNS:localhost", "IP:127.0.0.1"] as const;
    const directory = await everybodys.directory("m", "server", [...names], { trusts: pki });
    const acceptor = await listenTls(
      "127.0.0.1",
      0,
      await readCredentials(directory, "server", readPrivate),
      [],
      () => {},
    );
    const port = acceptor.address.split(":").at(-1);
    const run = async (code: string) => {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--no-lock", code],
        cwd: new URL("../../..", import.meta.url).pathname,
        env: { DENO_TLS_CA_STORE: "system", SSL_CERT_FILE: `${hosts}/ca-cert.pem` },
        stderr: "inherit",
      }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    // Deno's own TLS is what shows that the host does trust it.
    const trusted = await run(
      `const c = await Deno.connectTls({ hostname: "127.0.0.1", port: ${port} });
       await c.handshake(); console.log("trusted"); c.close(); Deno.exit();`,
    );
    assertEquals(trusted, "trusted");
    const source = new URL("../../../src/transport/tls/tls.ts", import.meta.url).href;
    const said = await run(
      `const { connectTls } = await import("${source}");
       const credentials = ${JSON.stringify(client)};
       try { await connectTls("127.0.0.1", ${port}, credentials); console.log("taken"); }
       catch (error) { console.log(error.message); }
       Deno.exit();`,
    );
    assert(said.includes("is not signed by the CA in ca-cert.pem"), said);
    acceptor.close();
  } finally {
    await Deno.remove(hosts, { recursive: true });
  }
});

/** The fault that connecting to a server with these certificates ends with. */
async function faultOfServer(credentials: TlsCredentials): Promise<string> {
  const acceptor = await listenTls("127.0.0.1", 0, credentials, [], () => {});
  const port = Number(acceptor.address.split(":").at(-1));
  const error = await assertRejects(() => connectTls("127.0.0.1", port, client), TlsError);
  acceptor.close();
  return error.fault;
}

test("a wrong server's certificate ends the handshake with the fault that it has", async () => {
  const made = await Deno.makeTempDir();
  try {
    const foreign = await Pki.make(made, "another CA");
    const here: [string, ...string[]] = ["s", "DNS:localhost", "IP:127.0.0.1"];
    const of = (directory: string) => readCredentials(directory, "server", readPrivate);
    const other = await of(await pki.directory("other", "server", ["e.example", "DNS:e.example"]));
    const old = await of(await pki.directory("old", "server", here, { expired: true }));
    const strange = await of(await foreign.directory("strange", "server", here, { trusts: pki }));
    assertEquals(await faultOfServer(other), "other-name");
    assertEquals(await faultOfServer(old), "not-signed-or-expired");
    assertEquals(await faultOfServer(strange), "not-signed");
  } finally {
    await Deno.remove(made, { recursive: true });
  }
});

test("a peer without TLS, and one that hangs up, do answer: the handshake fails", async () => {
  for (
    const [bytes, words] of [["no TLS here\r\n", "is not TLS"], [
      "",
      "ended the connection",
    ]] as const
  ) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const serving = listener.accept().then(async (conn) => {
      // All of the client's hello is read: closing with bytes unread would be a reset.
      await conn.read(new Uint8Array(65536));
      await conn.write(new TextEncoder().encode(bytes));
      conn.close();
    });
    const { port } = listener.addr;
    const error = await assertRejects(() => connectTls("127.0.0.1", port, client), TransportError);
    assertEquals(error.failure, "failed");
    assert(error.message.includes(words), error.message);
    await serving;
    listener.close();
  }
});

test("an address at which nobody answers is no fault of TLS", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await assertRejects(() => connectTls("127.0.0.1", port, client), TransportError);
  assert(!(error instanceof TlsError) && error.failure === "unanswered", String(error));
});
