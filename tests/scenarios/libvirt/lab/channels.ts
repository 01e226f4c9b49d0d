/**
 * The three sockets of a migration by libvirt through a tunnel, and the migration itself by hand.
 *
 * @module
 */
import { poll } from "../../support/waiting.ts";
import type { HostVmferry } from "../../support/host_vmferry.ts";
import type { LibvirtHost } from "./host.ts";
import type { Ran } from "../../support/lab_host.ts";
import type { LibvirtLab } from "./lab.ts";

/** Where QEMU may make sockets and connect to them, under libvirt's confinement. */
const DIRECTORY = "/run/libvirt/qemu/ferry";

/** A socket's path on either host. libvirt gives QEMU one path for both. */
interface Channel {
  readonly name: string;
  /** The tunnel listens here. */
  readonly source: string;
  /** libvirt or QEMU listens here. */
  readonly destination: string;
}

export const CHANNELS: readonly Channel[] = [
  {
    name: "libvirt",
    source: `${DIRECTORY}/libvirt.sock`,
    destination: "/run/libvirt/libvirt-sock",
  },
  { name: "ram", source: `${DIRECTORY}/ram.sock`, destination: `${DIRECTORY}/ram.sock` },
  { name: "nbd", source: `${DIRECTORY}/nbd.sock`, destination: `${DIRECTORY}/nbd.sock` },
];

/** How virsh migrate ended, and its duration, s. */
export type Migrated = Ran & { readonly seconds: number };

/** The first port of the relays; each channel has one. */
const RELAY_PORT = 7450;

/** Makes the directory of the sockets on both hosts, owned by the user that QEMU runs as. */
export async function makeChannelDirectories(lab: LibvirtLab): Promise<void> {
  for (const host of [lab.source, lab.destination]) {
    const user = "libvirt-qemu";
    const argv = ["install", "-d", "-m", "755", "-o", user, "-g", user, DIRECTORY];
    const { code, stderr } = await host.run(argv);
    if (code !== 0) throw new Error(`${host.name}: ${stderr}`);
  }
}

/** `virsh migrate` by hand through {@link CHANNELS}. Returns when it has ended. */
export async function virshMigrate(
  lab: LibvirtLab,
  domain: string,
  extra: readonly string[] = [],
  timeoutMs = 60_000,
): Promise<Migrated> {
  const start = performance.now();
  const ran = await lab.source.run([
    ...["virsh", "migrate", "--live", "--copy-storage-all", domain],
    `qemu+unix:///system?socket=${DIRECTORY}/libvirt.sock`,
    ...["--migrateuri", `unix://${DIRECTORY}/ram.sock`],
    ...["--disks-uri", `unix://${DIRECTORY}/nbd.sock`, ...extra],
  ], timeoutMs);
  return { ...ran, seconds: (performance.now() - start) / 1000 };
}

/** `virsh migrate --postcopy-resume` by hand through {@link CHANNELS}. Returns when it has ended. */
export async function virshPostcopyResume(
  lab: LibvirtLab,
  domain: string,
  timeoutMs = 60_000,
): Promise<Ran> {
  return await lab.source.run([
    ...["virsh", "migrate", "--live", "--postcopy", "--postcopy-resume", domain],
    `qemu+unix:///system?socket=${DIRECTORY}/libvirt.sock`,
    ...["--migrateuri", `unix://${DIRECTORY}/ram.sock`],
  ], timeoutMs);
}

/** Starts plain relays, with one TCP connection a stream, to compare a tunnel with. */
export async function startRelays(lab: LibvirtLab): Promise<void> {
  const { source, destination } = lab;
  for (const [i, channel] of CHANNELS.entries()) {
    const port = RELAY_PORT + i;
    destination.start([
      ...["socat", "-b", "262144", `TCP-LISTEN:${port},fork,reuseaddr`],
      `UNIX-CONNECT:${channel.destination}`,
    ]);
    source.start([
      ...["socat", "-b", "262144", `UNIX-LISTEN:${channel.source},fork,mode=666`],
      `TCP:${destination.address}:${port}`,
    ]);
  }
  await waitSockets(source);
}

/** Ends the relays and removes their sockets. */
export async function stopRelays(lab: LibvirtLab): Promise<void> {
  for (const host of [lab.source, lab.destination]) await host.run(["pkill", "-x", "socat"]);
  await lab.source.run(["rm", "-f", ...CHANNELS.map(({ source }) => source)]);
}

/** Migrates over plain relays, from their start to their end; the images must be there. */
export async function migrateOverRelays(
  lab: LibvirtLab,
  domain: string,
  extra: readonly string[] = [],
): Promise<Migrated> {
  await makeChannelDirectories(lab);
  await startRelays(lab);
  try {
    return await virshMigrate(lab, domain, extra);
  } finally {
    await stopRelays(lab);
  }
}

/** The two ends of `vmferry forward` between the hosts, with the three channels. */
export interface Forward {
  readonly from: HostVmferry;
  readonly to: HostVmferry;
}

/** Starts `vmferry forward` on both hosts and waits until the source listens. */
export async function startForward(lab: LibvirtLab, secretFile: string): Promise<Forward> {
  const { source, destination } = lab;
  const common = ["forward", "--json", "--secret-file", secretFile, "--insecure"];
  const to = destination.vmferry({
    name: "destination",
    args: [
      ...[...common, "--listen", `tcp://${destination.address}:0`],
      ...CHANNELS.flatMap((c) => ["--to", `${c.name}=unix://${c.destination}`]),
    ],
  });
  const address = await to.address();
  const from = source.vmferry({
    name: "source",
    args: [
      ...[...common, "--socket-owner", "libvirt-qemu"],
      ...CHANNELS.flatMap((c) => ["--from", `${c.name}=unix://${c.source}`]),
      address,
    ],
  });
  await from.waitEvent("listening", (e) => e.address === `unix://${CHANNELS.at(-1)!.source}`);
  return { from, to };
}

async function waitSockets(source: LibvirtHost): Promise<void> {
  for (const channel of CHANNELS) {
    const look = () => Deno.stat(source.file(channel.source)).then(() => true, () => undefined);
    await poll(`the relay of ${channel.name} to listen`, look);
  }
}
