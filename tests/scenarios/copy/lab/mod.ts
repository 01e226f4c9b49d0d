/**
 * Images at one host, and what has arrived of them at another.
 *
 * @module
 */
import type { HostVmferry } from "../../support/host_vmferry.ts";
import type { LabHost } from "../../support/lab_host.ts";
import { assertExit, assertNone } from "../../support/scenario.ts";
import type { ReportedError } from "../../../../src/migrate/mod.ts";
import { DESTINATION, type LaunchLab } from "../../launch/lab/mod.ts";

/** Where images lie; a source from the network may write there. */
export const DIR = "/var/lib/vms";

/** Makes images at the source: random data in a few places, a part that was written with zeroes, and holes. */
const MAKE = `
set -e
mkdir -p "$1"
head -c "$2" /dev/urandom >"$1/data"
qemu-img create -q -f qcow2 -o cluster_size=128k "$1/a.qcow2" 2G
qemu-img create -q -f raw "$1/b.raw" 1G
size=$(stat -c %s "$1/data")
half=$((size / 2 / 65536 * 65536))
for image in a.qcow2:qcow2 b.raw:raw; do
  qemu-io -f "\${image#*:}" -c "write -q -s $1/data 64k $half" -c "write -q -s $1/data 700M $half" \\
    -c "write -q 600M 8M" -c "write -q -P 0 500M 4M" "$1/\${image%:*}" >/dev/null
done
rm "$1/data"
`;

/** The images, by their names and formats. */
export const IMAGES = [["a.qcow2", "qcow2"], ["b.raw", "raw"]] as const;

/** Makes {@link IMAGES} with so much data in each, and the directory at the destination. */
export async function makeImages(
  { source, destination }: LaunchLab,
  mib = 32,
): Promise<readonly string[]> {
  await source.must("sh", "-c", MAKE, "sh", DIR, String(mib << 20));
  await destination.must("mkdir", "-p", DIR);
  return IMAGES.map(([name]) => `${DIR}/${name}`);
}

/** Starts `vmferry copy` at the source. */
export function copy(
  { source }: LaunchLab,
  images: readonly string[],
  args: readonly string[] = [],
  to: string | null = DESTINATION,
): HostVmferry {
  return source.vmferry({
    name: ["copy", ...args].join(" "),
    args: ["copy", "--json", ...images, ...args, ...(to === null ? [] : [to])],
  });
}

/**
 * Starts `vmferry receive --copy` at the destination and waits until it listens.
 *
 * @returns what `copy` is given to reach it.
 */
export async function receive(
  { destination, shared }: LaunchLab,
  args: readonly string[] = [],
): Promise<{ receive: HostVmferry; to: readonly string[] }> {
  const ticket = `${shared}/${crypto.randomUUID()}`;
  const ferry = destination.vmferry({
    name: "receive",
    args: [
      ...["receive", "--copy", "--json", "--ticket-file", ticket, ...args],
      ...["--listen", `tcp://${destination.address}:0`],
    ],
  });
  await ferry.address();
  return { receive: ferry, to: ["--ticket-file", ticket] };
}

interface Facts {
  readonly format: string;
  readonly "virtual-size": number;
  readonly "actual-size": number;
  readonly "cluster-size"?: number;
  readonly "backing-filename"?: string;
}

/** What qemu-img says of an image. */
export async function factsOf(host: LabHost, path: string): Promise<Facts> {
  return JSON.parse(await host.must("qemu-img", "info", "--output=json", path)) as Facts;
}

/** Throws unless the images have arrived: same content, format and size, and no fatter than 1.02 times the data. */
export async function assertArrived(
  { source, destination }: LaunchLab,
  images: readonly (readonly [string, string])[] = IMAGES,
  there: (name: string) => string = (name) => `${DIR}/${name}`,
): Promise<void> {
  const faults: string[] = [];
  for (const [name, format] of images) {
    const [from, to] = [`${DIR}/${name}`, there(name)];
    const [here, arrived] = [await factsOf(source, from), await factsOf(destination, to)];
    for (const key of ["format", "virtual-size", "cluster-size"] as const) {
      if (here[key] === arrived[key]) continue;
      faults.push(`${name}: ${key} is ${arrived[key]}, expected ${here[key]}`);
    }
    const most = here["actual-size"] * 1.02 + 65536;
    if (arrived["actual-size"] > most) {
      faults.push(`${name} takes ${arrived["actual-size"]} bytes, expected at most ${most}`);
    }
    const compared = ["compare", "-q", "-f", format, "-F", format];
    const { code } = await new Deno.Command("qemu-img", {
      args: [...compared, source.file(from), destination.file(to)],
    }).output();
    if (code !== 0) faults.push(`${name} has another content`);
  }
  assertNone(faults);
}

/** Throws unless a host has only these files of a copy, and neither sockets nor servers. */
export async function assertNothingLeft(
  host: LabHost,
  expected: readonly string[] = [],
): Promise<void> {
  const files = (await host.must("find", DIR, "-type", "f", "-printf", "%f\n")).split("\n");
  const left = files.filter((name) => name.includes("vmferry-copy")).sort();
  const { stdout: servers } = await host.run(["pgrep", "-a", "qemu-nbd"]);
  const { stdout: runs } = await host.run(["find", "/run/vmferry", "-mindepth", "1"]);
  assertNone([
    ...(String(left) === String([...expected].sort()) ? [] : [`${host.name}: left: ${left}`]),
    ...(servers === "" ? [] : [`${host.name}: still runs: ${servers}`]),
    ...(runs === "" ? [] : [`${host.name}: left: ${runs}`]),
  ]);
}

/**
 * Starts a guest that has an image as its disk; it is never run.
 *
 * @returns ends it.
 */
export async function holdImage(
  host: LabHost,
  path: string,
  format: string,
): Promise<() => Promise<void>> {
  const pid = "/run/holder.pid";
  await host.must(
    ...["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-nodefaults", "-display", "none", "-S"],
    ...["-m", "64", "-daemonize", "-pidfile", pid, "-device", "virtio-blk-pci,drive=disk"],
    ...["-drive", `if=none,id=disk,format=${format},file=${path}`],
  );
  return async () => {
    await host.must(
      "sh",
      "-c",
      `kill "$(cat ${pid})"; while pgrep qemu-system; do sleep 0.1; done`,
    );
  };
}

/** Waits for a copy to fail, and throws unless its event is so. */
export async function copyFails(ferry: HostVmferry, code: number, reason: RegExp): Promise<void> {
  await assertExit(ferry, code);
  const { error } = await ferry.waitEvent("copy") as unknown as { error: ReportedError };
  const text = `${error.side} ${error.code}: ${error.message}`;
  if (!reason.test(text)) throw new Error(`${ferry.name}: got "${text}", expected ${reason}`);
}
