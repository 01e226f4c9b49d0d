import { connectTcp } from "../../../src/transport/mod.ts";
import { Pki } from "../../support/pki.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";
import { poll } from "../support/waiting.ts";

const HERE: [string, ...string[]] = ["here.example", "DNS:localhost", "IP:127.0.0.1"];

/** Two hosts that have one CA in common. */
export const scenario: Scenario = {
  name: "tls",
  about: "certificates of one CA let in, both ways; every wrong one is refused with its reason",
  timeoutMs: 240_000,
  slow: true,
  async run(context) {
    const pki = await Pki.make(`${context.dir}/pki`);
    const foreign = await Pki.make(`${context.dir}/foreign`, "another CA");
    const server = await pki.directory("server", "server", HERE);
    const client = await pki.directory("client", "client", ["source.example"]);
    const pair = await Pair.start(context, { bytes: 16 << 20, guest: { ring: SMALL } });
    const listen = (dir: string, ...more: string[]) => [
      ...["--listen", "tls://127.0.0.1:0", "--tls-dir", dir, ...more],
    ];
    const receive = pair.receiveWith(listen(server, "--allow-client", "Source.Example"));
    const address = await receive.address();
    const port = Number(address.split(":").at(-1));
    const from = (dir: string, to = address) => pair.migrateWith(["--tls-dir", dir, to]);

    context.note("the source trusts another CA");
    const trusting = await pki.directory("trusting", "client", ["source.example"], {
      trusts: foreign,
    });
    await fails(from(trusting), 1, /is not signed by the CA in ca-cert\.pem/);
    await says(receive, /rejected a connection.*: .*does not know the CA/);

    context.note("a client of another CA");
    const stranger = await foreign.directory("stranger", "client", ["source.example"], {
      trusts: pki,
    });
    await fails(from(stranger), 1, /does not take this end's certificate/);
    await says(
      receive,
      /rejected a connection.*: The certificate of a client is not signed by the CA/,
    );

    context.note("a client without a certificate");
    await noCertificate(`${server}/ca-cert.pem`, port);
    await says(receive, /showed no client certificate/);

    context.note("a client of the CA that is not allowed");
    const other = await pki.directory("other", "client", ["other.example"]);
    await fails(from(other), 3, /other\.example is not among those/);
    await says(
      receive,
      /rejected a connection.*: The certificate of other\.example is not among those/,
    );

    context.note("a client with the server's kind of certificate");
    const wrongKind = await pki.directory("kind", "server", ["source.example"]);
    for (const file of ["cert", "key"]) {
      await Deno.rename(`${wrongKind}/server-${file}.pem`, `${wrongKind}/client-${file}.pem`);
    }
    await fails(from(wrongKind), 1, /does not take this end's certificate/);

    context.note("a client whose certificate has expired");
    const old = await pki.directory("old", "client", ["source.example"], { expired: true });
    await fails(from(old), 1, /does not take this end's certificate/);
    await turnedAway(receive, /The certificate of a client .* has expired/, 3);

    context.note("a key that others can read");
    await Deno.chmod(`${other}/client-key.pem`, 0o644);
    await fails(from(other), 2, /client-key\.pem has mode 0644, others can use it/);

    context.note("plain tcp where TLS is spoken, and a ticket's TLS");
    await fails(pair.migrateWith([`tcp://127.0.0.1:${port}`]), 1, /speaks TLS/);
    await says(receive, /rejected a connection.*: What came from .* is not TLS/);
    const bare = context.vmferry({
      name: "bare",
      args: [
        ...["forward", "--json", "--listen", "tcp://127.0.0.1:0"],
        ...["--to", `x=unix://${context.dir}/x`],
      ],
    });
    const toBare = (await bare.address()).replace("tcp://", "tls://");
    await fails(from(client, toBare), 1, /ended the connection without a word/);
    await says(bare, /rejected a connection.*: The other end speaks TLS/);
    const ticket = `vmferry://127.0.0.1:${port}/${"A".repeat(64)}`;
    await fails(pair.migrateWith([ticket]), 1, /ticket is another receive's, or another host/);
    const plain = await connectTcp("127.0.0.1", port);
    await plain.write(crypto.getRandomValues(new Uint8Array(1000)));
    plain.close();

    context.note("servers that are not the one that was asked for");
    const elsewhere = await pki.directory("elsewhere", "server", ["e.example", "DNS:e.example"]);
    await refused(elsewhere, /is made out to another name/);
    await refused(elsewhere, /is made out to another name/, "localhost");
    const expired = await pki.directory("expired", "server", HERE, { expired: true });
    await refused(expired, /has expired/);
    const middle = await foreign.directory("middle", "server", HERE, { trusts: pki });
    await refused(middle, /is not signed by the CA/);

    context.note("nothing of it reached QEMU");
    await pair.assertStillAtSource({ receiving: true });
    if (receive.events.entries.some((e) => e.event === "phase")) throw new Error("A phase began");

    context.note("and now it works, by the host's name");
    const migrate = from(client, `tls://localhost:${port}`);
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const pause = await pair.pauseMs();
    const { downtimeMs } = await migrate.waitEvent("result");
    await pair.assertArrived();
    return `pause ${pause.toFixed(1)} ms, downtime ${downtimeMs} ms`;

    /** An end that listens with `dir` is not taken by the source. */
    async function refused(dir: string, reason: RegExp, host = "127.0.0.1"): Promise<void> {
      const wrong = context.vmferry({
        name: "wrong",
        args: ["forward", "--json", ...listen(dir), "--to", `x=unix://${context.dir}/x`],
      });
      await fails(from(client, (await wrong.address()).replace("127.0.0.1", host)), 1, reason);
      await says(wrong, /rejected a connection.*: /);
    }
  },
};

const SMALL = { start: 2048, length: 4096, runId: 7n };

async function fails(ferry: Vmferry, code: number, reason: RegExp): Promise<void> {
  await assertExit(ferry, code, 30_000);
  const text = JSON.stringify(ferry.events.entries) + ferry.stderr;
  if (!reason.test(text)) throw new Error(`${ferry.name} said ${text}, expected ${reason}`);
}

async function says(ferry: Vmferry, line: RegExp): Promise<void> {
  await poll(`${ferry.name} to say ${line}`, () => line.test(ferry.stderr) || undefined, 10_000);
}

/** It was said so many times, and not one time less. */
async function turnedAway(ferry: Vmferry, reason: RegExp, times: number): Promise<void> {
  const all = new RegExp(`rejected a connection.*: ${reason.source}`, "g");
  await poll(
    `${ferry.name} to turn ${times} away`,
    () => (ferry.stderr.match(all)?.length ?? 0) >= times || undefined,
    10_000,
  );
}

async function noCertificate(authority: string, port: number): Promise<void> {
  const caCerts = [await Deno.readTextFile(authority)];
  const conn = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts });
  try {
    await conn.write(new Uint8Array(16));
    const n = await conn.read(new Uint8Array(1));
    throw new Error(`Read ${n} bytes without a certificate`);
  } catch (error) {
    if (!/CertificateRequired/.test(String(error))) throw error;
  } finally {
    conn.close();
  }
}
