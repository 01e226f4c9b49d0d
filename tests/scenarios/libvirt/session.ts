import { GUEST_STATE, type Image, makeImage, type Ring, verifyRing } from "../guest/mod.ts";
import { assertNone, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { domainXml } from "./lab/domain_xml.ts";
import { QEMU_CONF } from "./lab/host_files.ts";
import { assertMigrated, HostVmferry, type LibvirtHost, LibvirtLab } from "./lab/mod.ts";

/** A user that has nothing on a machine. */
const UID = 65534;
const HOME = "/run/user/65534";
const URI = "qemu:///session";
const RING: Ring = { start: 2048, length: 8192, runId: 0x5eed_0001_0000_0003n };
const IMAGES: readonly Image[] = [
  { path: `${HOME}/images/vm1-0.qcow2`, format: "qcow2" },
  { path: `${HOME}/images/vm1-1.raw`, format: "raw" },
];

/** Each host's user has a libvirt of their own. */
export const scenario: Scenario = {
  name: "session",
  about: "an ordinary user moves a domain between libvirts of their own (qemu:///session)",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    // Both hosts share /tmp here: QEMU's sockets can only be in each user's own directory.
    const lab = await LibvirtLab.start(context);
    const { source, destination } = lab;
    for (const host of [source, destination]) await startSession(host);
    await startDomain(source);
    const before = new Set([...await files(source), ...await files(destination)]);

    const run = (host: LibvirtHost, name: string, args: readonly string[]): HostVmferry => {
      const common = ["--connect", URI, "--json", "--secret-file", `${HOME}/secret`, "--insecure"];
      return context.use(
        new HostVmferry({
          name,
          args: [...args, ...common],
          prefix: [...host.prefix, ...AS_USER],
        }),
      );
    };
    const listen = ["receive", "--libvirt", "--listen", `tcp://${destination.address}:0`];
    const receive = run(destination, "receive", listen);
    const domain = run(source, "domain", ["domain", "vm1", await receive.address()]);
    const { totalMs, downtimeMs } = await assertMigrated({ domain, receive });
    await lab.assertConnections(1);

    const last = await waitCounter(destination, await counter(destination) + 100);
    await virsh(destination, "destroy", "vm1");
    for (const [i, image] of IMAGES.entries()) {
      const arrived = { ...image, path: destination.file(image.path) };
      const { faults, highest } = await verifyRing(arrived, RING, i);
      assertNone(faults);
      if (highest < last - 2) throw new Error(`Disk ${i} ends at ${highest}, expected ${last - 2}`);
    }
    for (const host of [source, destination]) {
      const left = (await files(host)).filter((file) => /\/vmferry-[0-9a-f]{8}|\.sock$/.test(file));
      assertNone(
        left.filter((file) => !before.has(file)).map((file) => `${host.name}: left ${file}`),
      );
    }
    return `${totalMs} ms, downtime ${downtimeMs} ms`;
  },
};

const AS_USER = [
  ...["setpriv", "--reuid", `${UID}`, "--regid", `${UID}`, "--clear-groups"],
  ...["env", `XDG_RUNTIME_DIR=${HOME}`, `HOME=${HOME}`],
];

/** Starts a libvirtd of the user. */
async function startSession(host: LibvirtHost): Promise<void> {
  const config = `${HOME}/.config/libvirt`;
  await sh(
    host,
    `mkdir -p ${config} ${HOME}/images && umask 077 && echo an-unimportant-secret >${HOME}/secret`,
  );
  await Deno.writeTextFile(
    host.file(`${config}/libvirtd.conf`),
    `host_uuid = "${crypto.randomUUID()}"\n`,
  );
  await Deno.writeTextFile(host.file(`${config}/qemu.conf`), [...QEMU_CONF, ""].join("\n"));
  await sh(host, `chown -R ${UID}:${UID} ${HOME}`);
  host.start([...AS_USER, "libvirtd"]);
  await poll(`${host.name}: the user's libvirtd`, async () => {
    return await virsh(host, "list").then(() => true, () => undefined);
  });
}

async function startDomain(host: LibvirtHost): Promise<void> {
  for (const [i, image] of IMAGES.entries()) {
    await makeImage({ ...image, path: host.file(image.path) }, {
      ...{ bytes: 32 << 20, seed: i + 1, randomBytes: 32 << 20 },
      ...(i === 0 ? { guest: { ring: RING, disks: 2 } } : {}),
    });
  }
  await Deno.writeTextFile(
    host.file(`${HOME}/vm1.xml`),
    domainXml({
      ...{ name: "vm1", uuid: crypto.randomUUID(), memoryMiB: 64, machine: "pc-i440fx-7.2" },
      disks: IMAGES,
    }),
  );
  await sh(host, `chown -R ${UID}:${UID} ${HOME}/images`);
  await virsh(host, "create", `${HOME}/vm1.xml`);
  await waitCounter(host, 200);
}

async function waitCounter(host: LibvirtHost, least: number): Promise<number> {
  return await poll(`${host.name}: the guest to count to ${least}`, async () => {
    const seen = await counter(host);
    return seen >= least ? seen : undefined;
  }, 120_000);
}

async function counter(host: LibvirtHost): Promise<number> {
  const address = GUEST_STATE.counter.toString(16);
  const text = await virsh(host, "qemu-monitor-command", "--hmp", "vm1", `xp /1wx 0x${address}`);
  return parseInt(/: 0x([0-9a-f]{8})/.exec(text)![1]!, 16);
}

async function files(host: LibvirtHost): Promise<string[]> {
  return (await sh(host, `find ${HOME} -ignore_readdir_race -maxdepth 5`)).trim().split("\n");
}

async function virsh(host: LibvirtHost, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run([...AS_USER, "virsh", "-c", URI, ...args]);
  if (code !== 0) throw new Error(`${host.name}: virsh ${args.join(" ")}: ${stderr}`);
  return stdout;
}

async function sh(host: LibvirtHost, script: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(["sh", "-c", script]);
  if (code !== 0) throw new Error(`${host.name}: ${script}: ${stderr}`);
  return stdout;
}
