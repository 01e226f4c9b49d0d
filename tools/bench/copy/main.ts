/**
 * `make bench-copy`: `vmferry copy` and `nbdcopy` side by side: an image of 20 GiB with 1.2 GiB of data, from one local
 * NBD server to another.
 *
 *     main.ts [--rounds N] [--mib MIB] [--gib GIB] [--dir DIR: of the images, default /dev/shm] [--formats raw,qcow2] [--json FILE]
 *
 * nbdcopy reads and writes two `qemu-nbd`; vmferry has two of them as well, and its tunnel over TCP on the loopback
 * interface between them. The rows of one round follow each other. Time of nbdcopy: the program alone, with its
 * flush. Time of vmferry: from the first request to the flush ("copying"), and the whole command, which also creates
 * the image, starts the servers and gives the image its name. The CPU time is that of all programs from their start to
 * their end: unlike the time it means something on a machine that does something else as well.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { project, run } from "../../run.ts";
import { makeDirectories, median } from "../ground.ts";
import { describe, machine } from "../machine.ts";
import { table } from "../report.ts";

const args = parseArgs(Deno.args, {
  string: ["rounds", "mib", "gib", "dir", "formats", "json"],
});
const rounds = Number(args.rounds ?? 5);
const mib = Number(args.mib ?? 1229);
const gib = Number(args.gib ?? 20);
const formats = String(args.formats ?? "raw,qcow2").split(",");
await using directories = await makeDirectories();
const sockets = directories.sockets;
const dir = args.dir === undefined ? directories.data : await Deno.makeTempDir({
  dir: String(args.dir),
  prefix: "vmferry-bench-",
});
const VMFERRY = project("dist/vmferry");

interface Round {
  /** Seconds of nbdcopy. */
  readonly nbdcopy: number;
  /** Seconds of vmferry: all of it, and while it copied. */
  readonly whole: number;
  readonly copying: number;
  /** CPU seconds, each with its two qemu-nbd. */
  readonly nbdcopyCpu: number;
  readonly cpu: number;
  /** Bytes that the new image takes, with either. */
  readonly bytes: number;
  readonly nbdcopyBytes: number;
}

const results = new Map<string, Round[]>(formats.map((format) => [format, []]));
try {
  for (const format of formats) await makeImage(format);
  for (let i = 0; i < rounds; i++) {
    for (const format of formats) {
      const round = { ...await nbdcopy(format), ...await vmferry(format) };
      results.get(format)!.push(round);
      console.error(`round ${i + 1}, ${format}: ${JSON.stringify(round)}`);
    }
  }
} finally {
  if (dir !== directories.data) await Deno.remove(dir, { recursive: true });
}
console.log(`${describe(await machine())}; ${mib} MiB in ${gib} GiB, ${rounds} rounds`);
const of = (format: string, value: (round: Round) => number) =>
  median(results.get(format)!.map(value));
table([
  [
    ...["", "nbdcopy, s", "vmferry copying, s", "whole, s", "copying / nbdcopy"],
    ...["nbdcopy, CPU s", "vmferry, CPU s", "CPU / nbdcopy's", "size / nbdcopy's"],
  ],
  ...formats.map((format) => [
    format,
    of(format, (r) => r.nbdcopy).toFixed(2),
    of(format, (r) => r.copying).toFixed(2),
    of(format, (r) => r.whole).toFixed(2),
    of(format, (r) => r.copying / r.nbdcopy).toFixed(2),
    of(format, (r) => r.nbdcopyCpu).toFixed(2),
    of(format, (r) => r.cpu).toFixed(2),
    of(format, (r) => r.cpu / r.nbdcopyCpu).toFixed(2),
    of(format, (r) => r.bytes / r.nbdcopyBytes).toFixed(3),
  ]),
]);
if (args.json !== undefined) {
  await Deno.writeTextFile(String(args.json), JSON.stringify(Object.fromEntries(results), null, 2));
}

/** Random data in 64 places, as files of a guest lie. */
async function makeImage(format: string): Promise<void> {
  const [image, data] = [`${dir}/source.${format}`, `${dir}/data`];
  await run("qemu-img", ["create", "-q", "-f", format, image, `${gib}G`]);
  const piece = Math.floor(mib / 64 * 16) * 65536;
  await run("sh", ["-c", `head -c ${64 * piece} /dev/urandom >"$1"`, "sh", data]);
  const script = `set -- "$@"; i=0; while [ $i -lt 64 ]; do
    dd if="$1" bs=65536 skip=$((i * ${piece / 65536})) count=${piece / 65536} status=none >"$1.part"
    qemu-io -f ${format} -c "write -q -s $1.part $((i * ${
    Math.floor(gib * 1024 / 64)
  }))M ${piece}" "$2" >/dev/null
    i=$((i + 1)); done; rm "$1" "$1.part"`;
  await run("sh", ["-c", script, "sh", data, image]);
}

/** A program under bash, which prints the CPU seconds of it and its children to a file. */
function timed(name: string, program: string, options: readonly string[]): Deno.Command {
  const script = `TIMEFORMAT="%U %S"; { time "$@" 2>&3; } 3>&2 2>"$0"`;
  const args = ["-c", script, `${sockets}/${name}.cpu`, program, ...options];
  const stdout = program === VMFERRY ? "piped" : "null";
  return new Deno.Command("bash", { args, stdin: "null", stdout, stderr: "inherit" });
}

async function cpuOf(name: string): Promise<number> {
  const [user = NaN, system = NaN] = (await Deno.readTextFile(`${sockets}/${name}.cpu`))
    .split(" ").map(Number);
  return user + system;
}

/** A `qemu-nbd`. */
async function serve(name: string, options: readonly string[], image: string) {
  const [socket, pid] = [`${sockets}/${name}.sock`, `${sockets}/${name}.pid`];
  const flags = ["--persistent", "--shared=8", `--socket=${socket}`, `--pid-file=${pid}`];
  const server = timed(name, "qemu-nbd", [...flags, ...options, image]).spawn();
  await run("sh", ["-c", `until [ -s ${pid} ]; do sleep 0.05; done`]);
  const end = async () => {
    Deno.kill(Number(await Deno.readTextFile(pid)), "SIGTERM");
    await server.status;
    await Deno.remove(pid);
    return await cpuOf(name);
  };
  return { uri: `nbd+unix:///?socket=${socket}`, end };
}

async function bytesOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).blocks ?? 0) * 512;
}

async function nbdcopy(
  format: string,
): Promise<Pick<Round, "nbdcopy" | "nbdcopyCpu" | "nbdcopyBytes">> {
  const target = `${dir}/nbdcopy.${format}`;
  await run("qemu-img", ["create", "-q", "-f", format, target, `${gib}G`]);
  const from = await serve("from", ["--read-only", "-f", format], `${dir}/source.${format}`);
  const to = await serve("to", ["--discard=unmap", "-f", format], target);
  const start = performance.now();
  const options = ["--flush", "--destination-is-zero", from.uri, to.uri];
  if (!(await timed("nbdcopy", "nbdcopy", options).spawn().status).success) {
    throw new Error("nbdcopy failed");
  }
  const seconds = (performance.now() - start) / 1000;
  const nbdcopyCpu = await from.end() + await to.end() + await cpuOf("nbdcopy");
  const bytes = await bytesOf(target);
  await Deno.remove(target);
  return { nbdcopy: seconds, nbdcopyCpu, nbdcopyBytes: bytes };
}

async function vmferry(
  format: string,
): Promise<Pick<Round, "whole" | "copying" | "cpu" | "bytes">> {
  const there = `${dir}/there`;
  await Deno.mkdir(there);
  const end = ["--json", "--insecure", "--run-dir"];
  const listen = ["--listen", "tcp://127.0.0.1:0"];
  const receive = timed("receive", VMFERRY, [
    ...["receive", "--copy", ...end, `${sockets}/receive`, ...listen],
  ]).spawn();
  const events = lines(receive.stdout);
  const { address } = await firstEvent(events, "listening");
  const start = performance.now();
  const copy = timed("copy", VMFERRY, [
    ...["copy", ...end, `${sockets}/copy`, "--map", `${dir}=${there}`],
    ...[`${dir}/source.${format}`, String(address)],
  ]).spawn();
  let [began, ended] = [NaN, NaN];
  for await (const event of lines(copy.stdout)) {
    if (event.event === "phase" && event.phase === "copy") began = Date.parse(event.time);
    const disks = event.event === "progress" ? event.disks : [];
    if (disks.length > 0 && disks.every(({ ready }) => ready)) ended = Date.parse(event.time);
  }
  const whole = (performance.now() - start) / 1000;
  const statuses = [await copy.status, await receive.status];
  if (!statuses.every(({ success }) => success)) throw new Error("vmferry copy failed");
  const cpu = await cpuOf("receive") + await cpuOf("copy");
  const bytes = await bytesOf(`${there}/source.${format}`);
  await Deno.remove(there, { recursive: true });
  return { whole, copying: (ended - began) / 1000, cpu, bytes };
}

interface Event {
  readonly event: string;
  readonly time: string;
  readonly phase?: string;
  readonly address?: string;
  readonly disks: readonly { readonly ready: boolean }[];
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const part of parts) yield JSON.parse(part) as Event;
  }
}

async function firstEvent(events: AsyncGenerator<Event>, name: string): Promise<Event> {
  while (true) {
    const { value, done } = await events.next();
    if (done) throw new Error(`vmferry ended before it reported ${name}`);
    if (value.event === name) return value;
  }
}
