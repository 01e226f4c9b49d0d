/**
 * The ends of one raw byte stream: `raw_end.ts sink PATH | source PATH BYTES`. The sink throws away
 * what it gets and hangs up after the other's end; the source prints the seconds until then.
 *
 * @module
 */
const [mode, path = "", bytes = ""] = Deno.args;
const buffer = new Uint8Array(1 << 20);

if (mode === "sink") {
  for await (const conn of Deno.listen({ transport: "unix", path })) {
    drain(conn).catch(() => {}).finally(() => conn.close());
  }
} else {
  crypto.getRandomValues(buffer.subarray(0, 65536));
  const conn = await Deno.connect({ transport: "unix", path });
  const start = performance.now();
  for (let left = Number(bytes); left > 0;) {
    left -= await conn.write(left < buffer.length ? buffer.subarray(0, left) : buffer);
  }
  await conn.closeWrite();
  await drain(conn);
  console.log((performance.now() - start) / 1000);
  conn.close();
}

async function drain(conn: Deno.Conn): Promise<void> {
  while (await conn.read(buffer) !== null);
}
