/**
 * One end of one stream of bytes: `encryption_end.ts send|receive ROW PORT CERTIFICATES BYTES CHUNK`. Prints
 * how fast it was, in MB/s, and the CPU it took, in s/GB, from the first byte to the last.
 *
 * @module
 */
import tls from "node:tls";
import { cpuSeconds } from "../processes.ts";

const [role, row, port = "", directory, bytes = "", chunk = ""] = Deno.args;
const hostname = "127.0.0.1";
const total = Number(bytes);
const buffer = crypto.getRandomValues(new Uint8Array(65536));
const part = new Uint8Array(Number(chunk));
for (let at = 0; at < part.length; at += buffer.length) part.set(buffer, at);
const pem = (name: string) => Deno.readTextFileSync(`${directory}/${name}.pem`);

let cpu = 0;
let start = 0;
const begin = () => {
  cpu = cpuSeconds(Deno.pid);
  start = performance.now();
};
if (role === "send") await (row === "node:tls" ? sendByNode() : send());
else await (row === "node:tls" ? receiveByNode() : receive());
const seconds = (performance.now() - start) / 1000;
const used = (cpuSeconds(Deno.pid) - cpu) / (total / 1e9);
console.log(JSON.stringify({ rate: total / 1e6 / seconds, cpu: used }));
Deno.exit(0);

async function send(): Promise<void> {
  const conn = row === "tcp"
    ? await Deno.connect({ hostname, port: Number(port) })
    : await Deno.connectTls({ hostname, port: Number(port), caCerts: [pem("ca-cert")] });
  begin();
  for (let left = total; left > 0; left -= part.length) {
    for (let done = 0; done < part.length;) done += await conn.write(part.subarray(done));
  }
  // Its answer is the other end's end.
  await conn.closeWrite();
  while (await conn.read(part) !== null);
}

async function receive(): Promise<void> {
  const listener = row === "tcp" ? Deno.listen({ hostname, port: Number(port) }) : Deno.listenTls({
    ...{ hostname, port: Number(port) },
    ...{ cert: pem("server-cert"), key: pem("server-key") },
  });
  const conn = await listener.accept();
  const into = new Uint8Array(1 << 20);
  await take(await conn.read(into) ?? 0, () => conn.read(into));
  await conn.closeWrite();
  conn.close();
}

async function take(first: number, next: () => Promise<number | null>): Promise<void> {
  begin();
  let got = first;
  for (let n; (n = await next()) !== null;) got += n;
  if (got !== total) throw new Error(`Got ${got} bytes, expected ${total}`);
}

async function sendByNode(): Promise<void> {
  const socket = tls.connect({ host: hostname, port: Number(port), ca: pem("ca-cert") });
  await new Promise<void>((resolve) => socket.once("secureConnect", resolve));
  begin();
  for (let left = total; left > 0; left -= part.length) {
    await new Promise<void>((resolve) => socket.write(part, () => resolve()));
  }
  const over = new Promise<void>((resolve) => socket.once("end", resolve));
  socket.resume();
  socket.end();
  await over;
}

async function receiveByNode(): Promise<void> {
  const server = tls.createServer({ cert: pem("server-cert"), key: pem("server-key") });
  const connected = new Promise<tls.TLSSocket>((r) => server.once("secureConnection", r));
  server.listen(Number(port), hostname);
  const socket = await connected;
  let got = 0;
  await new Promise<void>((resolve) => {
    socket.on("data", (piece) => {
      if (got === 0) begin();
      got += piece.length;
    });
    socket.on("end", resolve);
  });
  if (got !== total) throw new Error(`Got ${got} bytes, expected ${total}`);
  socket.end();
  await new Promise<void>((resolve) => socket.once("close", resolve));
}
