/**
 * The plain relay that vmferry is measured against: `relay.ts connect UNIX PORT [TLS] | listen PORT
 * UNIX [TLS]`. Reads up to 1 MiB, writes it, nothing else. TLS is a directory with certificates.
 *
 * @module
 */
const [mode, a = "", b = "", tls] = Deno.args;
const SIZE = 1 << 20;

async function copy(from: Deno.Conn, to: Deno.Conn) {
  const buffer = new Uint8Array(SIZE);
  for (let n; (n = await from.read(buffer)) !== null;) {
    for (let done = 0; done < n;) done += await to.write(buffer.subarray(done, n));
  }
  await to.closeWrite();
}

const pem = (name: string) => Deno.readTextFileSync(`${tls}/${name}.pem`);
const hostname = "127.0.0.1";

function listen(): Deno.Listener {
  if (mode === "connect") return Deno.listen({ transport: "unix", path: a });
  const port = Number(a);
  if (tls === undefined) return Deno.listen({ hostname, port });
  return Deno.listenTls({ hostname, port, cert: pem("server-cert"), key: pem("server-key") });
}

async function connect(): Promise<Deno.Conn> {
  if (mode === "listen") return await Deno.connect({ transport: "unix", path: b });
  const port = Number(b);
  if (tls === undefined) return await Deno.connect({ hostname, port });
  return await Deno.connectTls({ hostname, port, caCerts: [pem("ca-cert")] });
}

for await (const near of listen()) {
  (async () => {
    const far = await connect();
    await Promise.all([copy(near, far), copy(far, near)]);
  })().catch(() => {}).finally(() => near.close());
}
