/**
 * `make bench-encryption`: what it costs to encrypt in Deno, without any tunnel: one stream of bytes over
 * TCP and over both kinds of TLS that there are, and WebCrypto's AES-GCM by itself.
 *
 *     encryption.ts [--rounds N] [--mib N]
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { Pki } from "../../../tests/support/pki.ts";
import { project } from "../../run.ts";
import { freePort, listening, median } from "../ground.ts";
import { describe, machine } from "../machine.ts";
import { cpuSeconds } from "../processes.ts";
import { table } from "../report.ts";

const args = parseArgs(Deno.args, { string: ["rounds", "mib"] });
const rounds = Number(args.rounds ?? 3);
const bytes = Number(args.mib ?? 2048) * 2 ** 20;
const ROWS = ["tcp", "Deno's TLS", "node:tls"] as const;
/** As the tunnel's largest frames, bytes. */
const CHUNK = 256 * 1024;

/** CPU seconds per GB of the end that sends and the one that receives, or encrypts and decrypts. */
interface Costs {
  readonly rates: number[];
  readonly sending: number[];
  readonly receiving: number[];
}

console.log(describe(await machine()));
const costs = new Map<string, Costs>();
const note = (row: string, rate: number, sending: number, receiving: number) => {
  const entry = costs.get(row) ?? { rates: [], sending: [], receiving: [] };
  costs.set(row, entry);
  entry.rates.push(rate);
  entry.sending.push(sending);
  entry.receiving.push(receiving);
};

const dir = await Deno.makeTempDir({ prefix: "vmferry-bench-" });
try {
  const certificates = await (await Pki.make(dir)).directory("server", "server", [
    "far.example",
    "IP:127.0.0.1",
  ]);
  for (let round = 0; round < rounds; round++) {
    for (const row of ROWS) {
      const port = String(freePort());
      const receiver = end("receive", row, port, certificates);
      await listening(Number(port));
      const [sent, received] = await Promise.all([
        told(end("send", row, port, certificates)),
        told(receiver),
      ]);
      note(row, sent.rate, sent.cpu, received.cpu);
    }
    note("WebCrypto", ...await webCrypto());
  }
} finally {
  await Deno.remove(dir, { recursive: true });
}

console.log(`\n${bytes / 2 ** 20} MiB in parts of ${CHUNK / 1024} KiB, medians\n`);
table([
  ["row", "MB/s", "CPU s/GB of who sends", "of who receives"],
  ...[...costs].map(([row, { rates, sending, receiving }]) => [
    row,
    median(rates).toFixed(0),
    median(sending).toFixed(2),
    median(receiving).toFixed(2),
  ]),
]);

function end(role: "send" | "receive", row: string, port: string, certificates: string) {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", project("tools/bench/relays/encryption_end.ts")],
      ...[role, row, port, certificates, String(bytes), String(CHUNK)],
    ],
    stdout: "piped",
  }).spawn();
}

async function told(child: Deno.ChildProcess): Promise<{ rate: number; cpu: number }> {
  const { success, stdout } = await child.output();
  if (!success) throw new Error("An end of the stream failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** MB/s of encrypting, and CPU s/GB of either. */
async function webCrypto(): Promise<[number, number, number]> {
  const name = "AES-GCM";
  const key = await crypto.subtle.generateKey({ name, length: 128 }, false, ["encrypt", "decrypt"]);
  const plain = crypto.getRandomValues(new Uint8Array(65536));
  const chunk = new Uint8Array(CHUNK);
  for (let at = 0; at < CHUNK; at += plain.length) chunk.set(plain, at);
  const iv = new Uint8Array(12);
  const times = bytes / CHUNK;
  const cpu = () => cpuSeconds(Deno.pid);
  const [before, start] = [cpu(), performance.now()];
  let sealed: ArrayBuffer | undefined;
  for (let i = 0; i < times; i++) sealed = await crypto.subtle.encrypt({ name, iv }, key, chunk);
  const [between, half] = [cpu(), performance.now()];
  for (let i = 0; i < times; i++) await crypto.subtle.decrypt({ name, iv }, key, sealed!);
  const gb = bytes / 1e9;
  return [bytes / 1e3 / (half - start), (between - before) / gb, (cpu() - between) / gb];
}
