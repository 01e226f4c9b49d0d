/**
 * `make bench-compress`: one disk through vmferry with `--compress off`, `auto` and `on` and through
 * `ssh -C`, over a link with a delay and a rate, in interleaved rounds; then random data, and loopback.
 *
 *     compress.ts [--rtt 20] [--mbit 200] [--mib 256] [--rounds 3] [--ways off,auto] [--image FILE] [--json FILE] [PART...]
 *
 * Parts: image, random, loopback; default all. The data of the first and third are those blocks of 1
 * MiB of FILE that are not mostly zeroes, from all over it; default is the Debian root image of `make
 * guest`.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { mirrorBufferBytes } from "../../src/migrate/disks/buffer_size.ts";
import { denseImage, ROOT_IMAGE } from "./dense_image.ts";
import { freePort, makeDirectories, median, randomFile } from "./ground.ts";
import { startLine } from "./line/line.ts";
import { describe, machine } from "./machine.ts";
import { MirrorBench } from "./mirrors.ts";
import { cpuSeconds } from "./processes.ts";
import { type Relay, startRelay, vmferryPath } from "./relays/relays.ts";
import { table } from "./report.ts";
import { sshForward } from "./ssh.ts";

const MIB = 1 << 20;
const args = parseArgs(Deno.args, {
  string: ["rtt", "mbit", "mib", "rounds", "image", "ways", "json"],
});
const rttMs = Number(args.rtt ?? 20);
const mbit = Number(args.mbit ?? 200);
const rounds = Number(args.rounds ?? 3);
const bytes = Number(args.mib ?? 256) * MIB;
const chosen = args.ways === undefined ? undefined : String(args.ways).split(",");
const parts = args._.length > 0 ? args._.map(String) : ["image", "random", "loopback"];

type Way = "off" | "auto" | "on" | "ssh" | "ssh -C";

/** Seconds and CPU seconds of both ends, a value a round. */
type Figures = Map<Way, { readonly seconds: number[]; readonly cpu: number[] }>;

const about = await machine();
console.log(describe(about));
const report: Record<string, unknown> = { machine: about, rttMs, mbit, bytes, rounds };
{
  await using directories = await makeDirectories();
  const { data, sockets } = directories;
  if (parts.includes("image") || parts.includes("loopback")) {
    await denseImage(String(args.image ?? ROOT_IMAGE), `${data}/image`, bytes);
  }
  if (parts.includes("random")) await randomFile(`${data}/random`, bytes);
  const link = `${mbit} Mbit/s, ${rttMs} ms`;
  if (parts.includes("image")) {
    const ways: Way[] = ["off", "auto", "on", "ssh", "ssh -C"];
    await measure(`an image over ${link}`, sockets, `${data}/image`, ways, true);
  }
  if (parts.includes("random")) {
    await measure(
      `random data over ${link}`,
      sockets,
      `${data}/random`,
      ["off", "auto", "on"],
      true,
    );
  }
  if (parts.includes("loopback")) {
    await measure("an image over loopback", sockets, `${data}/image`, ["off", "auto"], false);
  }
}
if (args.json !== undefined) {
  await Deno.writeTextFile(String(args.json), JSON.stringify(report, undefined, 1) + "\n");
}

async function measure(
  what: string,
  dir: string,
  image: string,
  possible: readonly Way[],
  shaped: boolean,
): Promise<void> {
  const ways = possible.filter((way) => way === "off" || (chosen?.includes(way) ?? true));
  await using mirrors = await MirrorBench.start({ dir, image, bytes, counts: [1] });
  const figures: Figures = new Map(ways.map((way) => [way, { seconds: [], cpu: [] }]));
  const count = shaped ? rounds : 3 * rounds;
  for (let round = 0; round < count; round++) {
    for (const i of ways.keys()) {
      const way = ways[(i + round) % ways.length]!;
      await once(way, dir, mirrors, figures, shaped);
    }
  }
  const of = (way: Way) => figures.get(way)!;
  const base = of("off").seconds;
  const ratio = (way: Way) => median(of(way).seconds.map((s, i) => s / base[i]!));
  console.log(`\n${what}, ${bytes / MIB} MiB, median of ${count} rounds\n`);
  table([
    ["way", "s", "least..most", "time / off", "CPU s, both ends"],
    ...ways.map((way) => [
      way.startsWith("ssh") ? way : `--compress ${way}`,
      median(of(way).seconds).toFixed(2),
      `${Math.min(...of(way).seconds).toFixed(2)}..${Math.max(...of(way).seconds).toFixed(2)}`,
      ratio(way).toFixed(2),
      median(of(way).cpu).toFixed(2),
    ]),
  ]);
  report[what] = Object.fromEntries(figures);
}

async function once(
  way: Way,
  dir: string,
  mirrors: MirrorBench,
  figures: Figures,
  shaped: boolean,
): Promise<void> {
  await using line = shaped ? await startLine(rttMs, mbit) : undefined;
  const [near, far] = line ? [line.near, line.far] : [undefined, freePort()];
  const relay = await start(way, dir, mirrors.targetSocket, near ?? far, far);
  try {
    const cpu = () => cpuSeconds(relay.near!) + cpuSeconds(relay.far!);
    const before = cpu();
    const buffer = mirrorBufferBytes(shaped ? rttMs : 0, 1);
    let after = before;
    const seconds = await mirrors.run(relay.path, 1, () => void (after = cpu()), buffer);
    figures.get(way)!.seconds.push(seconds);
    figures.get(way)!.cpu.push(after - before);
    console.error(`${way}: ${seconds.toFixed(2)} s`);
  } finally {
    await relay.stop();
  }
}

async function start(
  way: Way,
  dir: string,
  target: string,
  near: number,
  far: number,
): Promise<Relay> {
  if (way === "ssh" || way === "ssh -C") {
    const compress = way === "ssh -C";
    return await sshForward(dir, target, "aes128-gcm@openssh.com", { near, far, compress });
  }
  const path = `${dir}/ferry.sock`;
  const program = [vmferryPath(), "forward", "--quiet", "--compress", way];
  return await startRelay(path, {
    far: [...program, "--to", `nbd=unix://${target}`, "--listen", `tcp://127.0.0.1:${far}`],
    farListens: far,
    near: [...program, "--from", `nbd=unix://${path}`, `tcp://127.0.0.1:${near}`],
  });
}
