import { connectTcp, makeTicketIdentity, type TicketIdentity } from "../../../src/transport/mod.ts";
import { TICKET_NAME } from "../../../src/transport/ticket/self_signed.ts";
import { Pki } from "../../support/pki.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** Every way to get a ticket wrong, and to attack one. */
export const scenario: Scenario = {
  name: "ticket_refused",
  about:
    "a ticket that is wrong, used, over or for a host in between opens nothing and is refused with its reason",
  timeoutMs: 180_000,
  slow: true,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 16 << 20, guest: { ring: SMALL } });
    const receive = pair.receiveWith(["--listen", "tcp://127.0.0.1:0"]);
    const address = await receive.address();
    const [where, ticket] = address.split(/\/(?=[^/]*$)/) as [string, string];
    const port = Number(where.split(":").at(-1));

    context.note("a secret that is not the ticket's");
    const secret = ticket.slice(0, 43) + "AAAAAAAAAAAAAAAAAAAAA";
    await fails(pair.migrateWith([`${where}/${secret}`]), 3, /secrets of the two ends/);
    await says(receive, /rejected a connection.*: The secrets of the two ends are not the same/);

    context.note("the key of another receive");
    const key = "A".repeat(43) + ticket.slice(43);
    await fails(pair.migrateWith([`${where}/${key}`]), 1, /does not hold the ticket's key/);
    await says(receive, /rejected a connection.*: .* does not take this end's certificate/);

    context.note("a host in between with a certificate of its own");
    using middle = middleman(await makeTicketIdentity());
    const through = `vmferry://127.0.0.1:${middle.port}/${ticket}`;
    await fails(pair.migrateWith([through]), 1, /another host is in between/);
    if (middle.read !== 0) throw new Error(`The host in between could read ${middle.read} bytes`);

    context.note("a host in between whose CA the whole host trusts");
    const pki = await Pki.make(`${context.dir}/pki`, "a site that looks into its TLS");
    const directory = await pki.directory("site", "server", [TICKET_NAME, `DNS:${TICKET_NAME}`]);
    using site = middleman({
      certificate: await Deno.readTextFile(`${directory}/server-cert.pem`),
      privateKey: await Deno.readTextFile(`${directory}/server-key.pem`),
    });
    const authority = `${directory}/ca-cert.pem`;
    const trusting = [
      ...["env", "DENO_TLS_CA_STORE=mozilla,system", `SSL_CERT_FILE=${authority}`],
      ...[`DENO_CERT=${authority}`, `NODE_EXTRA_CA_CERTS=${authority}`],
      ...["NODE_USE_SYSTEM_CA=1", "DENO_NODE_USE_OPENSSL_CA=1"],
    ];
    const throughSite = `vmferry://127.0.0.1:${site.port}/${ticket}`;
    await fails(pair.migrateWith([throughSite], trusting), 1, /another host is in between/);
    if (site.read !== 0) throw new Error(`The site could read ${site.read} bytes`);

    context.note("plain tcp where TLS is spoken, and the reverse");
    await fails(pair.migrateWith([`tcp://127.0.0.1:${port}`]), 1, /speaks TLS/);
    await says(receive, /rejected a connection.*: What came from .* is not TLS/);
    const plain = context.vmferry({
      name: "plain",
      args: [
        ...["forward", "--json", "--listen", "tcp://127.0.0.1:0"],
        ...["--to", `x=unix://${context.dir}/x`],
      ],
    });
    const plainPort = (await plain.address()).split(":").at(-1);
    const toPlain = pair.migrateWith([`vmferry://127.0.0.1:${plainPort}/${ticket}`]);
    await fails(toPlain, 1, /in the TLS handshake|not TLS/);
    await says(plain, /rejected a connection.*: The other end speaks TLS/);

    context.note("an environment that would have the keys of TLS written down");
    const logging = ["env", `SSLKEYLOGFILE=${context.dir}/keys`];
    await fails(pair.migrateWith([address], logging), 2, /SSLKEYLOGFILE is set/);
    const keys = await Deno.readTextFile(`${context.dir}/keys`).catch(() => "");
    if (keys !== "") throw new Error(`${keys.length} bytes of keys were written down`);

    context.note("half a ticket, and one in a file that others can read");
    await fails(pair.migrateWith([`${where}/${ticket.slice(0, 40)}`]), 2, /has 40 characters/);
    const file = `${context.dir}/ticket`;
    await Deno.writeTextFile(file, address, { mode: 0o644 });
    await fails(pair.migrateWith(["--ticket-file", file]), 2, /others can use it/);
    await Deno.chmod(file, 0o600);

    context.note("noise");
    const noise = await connectTcp("127.0.0.1", port);
    await noise.write(crypto.getRandomValues(new Uint8Array(4096)));
    noise.close();

    context.note("nothing of it reached QEMU");
    await pair.assertStillAtSource({ receiving: true });
    if (receive.events.entries.some((e) => e.event === "phase")) throw new Error("A phase began");

    context.note("a second use while the first one is under way");
    const migrate = pair.migrateWith(["--bandwidth", "1M", "--ticket-file", file], trusting);
    await receive.waitEvent("phase", (e) => e.phase === "mirror");
    const second = context.vmferry({
      name: "second",
      args: [
        ...["forward", "--json", "--from", `x=unix://${context.dir}/y`, "--ticket-file", file],
      ],
    });
    await assertExit(second, 3);
    if (!/ticket has already been used/.test(JSON.stringify(second.events.entries))) {
      throw new Error("The second use was not told what it is");
    }
    await says(receive, /rejected a connection.*: This ticket has already been used/);
    await pair.set("bandwidth=none");
    await assertExit(migrate, 0);
    await assertExit(receive, 0);

    context.note("the receive is over, and so is its ticket");
    const late = context.vmferry({
      name: "late",
      args: [
        ...["forward", "--json", "--from", `x=unix://${context.dir}/y`, "--ticket-file", file],
      ],
    });
    await assertExit(late, 1);
    if (!/Can't connect to/.test(late.stderr + JSON.stringify(late.events.entries))) {
      throw new Error("The source did not learn that the receive is over");
    }
    await pair.assertArrived();

    async function fails(ferry: Vmferry, code: number, reason: RegExp): Promise<void> {
      await assertExit(ferry, code, 30_000);
      const text = JSON.stringify(ferry.events.entries) + ferry.stderr;
      if (!reason.test(text)) throw new Error(`${ferry.name} said ${text}, expected ${reason}`);
      if (ferry.events.entries.some((e) => JSON.stringify(e).includes(ticket))) {
        throw new Error(`${ferry.name} repeated the ticket`);
      }
    }
  },
};

const SMALL = { start: 2048, length: 4096, runId: 6n };

async function says(ferry: Vmferry, line: RegExp): Promise<void> {
  await poll(`${ferry.name} to say ${line}`, () => line.test(ferry.stderr) || undefined, 10_000);
}

/** Takes connections with a certificate of his own. */
function middleman(
  { certificate, privateKey }: Pick<TicketIdentity, "certificate" | "privateKey">,
): Disposable & { readonly port: number; readonly read: number } {
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert: certificate,
    key: privateKey,
  });
  const him = {
    port: listener.addr.port,
    read: 0,
    [Symbol.dispose]: () => listener.close(),
  };
  (async () => {
    for await (const conn of listener) {
      him.read += await conn.read(new Uint8Array(4096)).catch(() => 0) ?? 0;
      conn.close();
    }
  })().catch(() => {});
  return him;
}
