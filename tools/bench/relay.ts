/**
 * The plain relay that vmferry is measured against: `relay.ts connect UNIX PORT | listen PORT UNIX`.
 * Reads up to 1 MiB, writes it, nothing else.
 *
 * @module
 */
const [mode, a = "", b = ""] = Deno.args;
const SIZE = 1 << 20;

async function copy(from: Deno.Conn, to: Deno.Conn) {
  const buffer = new Uint8Array(SIZE);
  for (let n; (n = await from.read(buffer)) !== null;) {
    for (let done = 0; done < n;) done += await to.write(buffer.subarray(done, n));
  }
  await to.closeWrite();
}

const listener = mode === "connect"
  ? Deno.listen({ transport: "unix", path: a })
  : Deno.listen({ hostname: "127.0.0.1", port: Number(a) });
for await (const near of listener) {
  (async () => {
    const far = mode === "connect"
      ? await Deno.connect({ hostname: "127.0.0.1", port: Number(b) })
      : await Deno.connect({ transport: "unix", path: b });
    await Promise.all([copy(near, far), copy(far, near)]);
  })().catch(() => {}).finally(() => near.close());
}
