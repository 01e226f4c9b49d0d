import { assertNone, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { JsonEvent } from "../support/vmferry.ts";
import {
  assertDomainRefused,
  assertMigrated,
  LibvirtLab,
  RingDomain,
  startDomainFerries,
} from "./lab/mod.ts";

const MiB = 1024 * 1024;
const CD = "/var/lib/libvirt/images/cd.iso";
/** A directory that both hosts have. */
const SHARED = "/var/lib/libvirt/shared";

/** Domains that differ from the usual one. */
export const scenario: Scenario = {
  name: "kinds",
  about: "persistent and paused domains, CDs and shared disks move as libvirt would move them",
  timeoutMs: 150_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    await persistent(context, lab);
    await paused(context, lab);
    await sharedDisk(context, lab);
    await ownUser(context, lab);
  },
};

/** QEMU runs as the domain's own user, and libvirt changes the owner of no image. */
async function ownUser(context: ScenarioContext, lab: LibvirtLab): Promise<void> {
  context.note("a domain with a user of its own");
  const guest = await RingDomain.start(lab, { name: "own", owner: 1000 });
  await assertMigrated(await startDomainFerries(context, lab, guest.name));
  const { uid } = await Deno.stat(guest.image(lab.destination, 0).path);
  if (uid !== 1000) throw new Error(`The image belongs to user ${uid}, expected 1000`);
  await guest.assertArrived();
}

/** Its definition goes along; a CD has to be at the destination before. */
async function persistent(context: ScenarioContext, lab: LibvirtLab): Promise<void> {
  const { source, destination } = lab;
  const guest = await RingDomain.start(lab, { name: "kept", persistent: true, cdrom: "cd.iso" });
  const args = ["--", "--persistent", "--undefinesource"];

  context.note("the CD is missing");
  const refused = await startDomainFerries(context, lab, guest.name, { args });
  await assertDomainRefused(refused, /cd\.iso/);
  await guest.assertRunsOnlyOn(source);

  context.note("the CD is there");
  await Deno.writeFile(destination.file(CD), await Deno.readFile(source.file(CD)));
  const { receive } = refused;
  await assertMigrated(await startDomainFerries(context, lab, guest.name, { args, receive }));
  if ((await source.domains()).has(guest.name)) throw new Error("The source keeps the definition");
  const xml = await destination.virsh("dumpxml", guest.name, "--inactive");
  if (!xml.includes(CD)) throw new Error(`The definition at the destination has no ${CD}: ${xml}`);
  const info = await destination.virsh("dominfo", guest.name);
  if (!/Persistent:\s+yes/.test(info)) throw new Error(`The domain is transient: ${info}`);
  await guest.assertArrived();
  await destination.virsh("undefine", guest.name);
}

/** A paused guest does not count; it arrives paused. */
async function paused(context: ScenarioContext, lab: LibvirtLab): Promise<void> {
  context.note("a paused domain");
  const guest = await RingDomain.start(lab, { name: "paused", paused: true });
  const before = await guest.counter(lab.source);
  const { guest: state, next } = await assertMigrated(
    await startDomainFerries(context, lab, guest.name),
  );
  const faults: string[] = [];
  if (state !== "paused") faults.push(`Got guest ${state} in the result, expected paused`);
  if (!/virsh resume/.test(JSON.stringify(next))) faults.push(`Got next ${JSON.stringify(next)}`);
  const after = await guest.counter(lab.destination);
  if (after !== before) faults.push(`The guest counted from ${before} to ${after}`);
  assertNone(faults);
  await guest.assertArrived();
}

/** `--shared` leaves a disk where it is, `--reuse` overwrites an image. */
async function sharedDisk(context: ScenarioContext, lab: LibvirtLab): Promise<void> {
  context.note("a shared disk");
  const { source, destination } = lab;
  const path = `${SHARED}/data.raw`;
  await shareDirectory(context, lab);
  const content = crypto.getRandomValues(new Uint8Array(64 * 1024));
  await Deno.writeFile(source.file(path), content);
  await Deno.truncate(source.file(path), 16 * MiB);
  const guest = await RingDomain.start(lab, {
    name: "shared",
    devices: `<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>` +
      `<source file='${path}'/><target dev='vdc' bus='virtio'/></disk>`,
  });
  await guest.makeEmptyImages();

  const refused = await startDomainFerries(context, lab, guest.name);
  const { error } = await assertDomainRefused(refused, /vdc.*--shared vdc/s);
  const problems = (error as { problems: string[] }).problems.join("\n");
  for (const target of ["vda", "vdb"]) {
    if (!problems.includes(`--reuse ${target}`)) throw new Error(`Got the problems ${problems}`);
  }

  // libvirt knows network file systems only as shared, and this is a bind mount.
  const { receive } = refused;
  const safe = ["--shared", "vdc", "--reuse", "vda", "--reuse", "vdb"];
  const unsafe = await startDomainFerries(context, lab, guest.name, { args: safe, receive });
  await assertDomainRefused(unsafe, /vdc is not copied.*-- --unsafe/);
  const args = [...safe, "--", "--unsafe"];
  const ferries = await startDomainFerries(context, lab, guest.name, { args, receive });
  const { bytes } = await assertMigrated(ferries);
  const names = disksOf(ferries.domain.events.entries);
  if (names !== "vda vdb") throw new Error(`Got the disks ${names}, expected vda vdb`);
  await guest.assertArrived();
  const arrived = await Deno.readFile(destination.file(path));
  if (arrived.length !== 16 * MiB || !content.every((byte, i) => byte === arrived[i])) {
    throw new Error("The shared disk was changed");
  }
  if (Number(bytes) < 128 * MiB) throw new Error(`Only ${bytes} bytes crossed`);
}

function disksOf(events: readonly JsonEvent[]): string {
  const last = events.filter((e) => e.event === "progress").at(-1);
  return ((last?.disks ?? []) as { name: string }[]).map((disk) => disk.name).join(" ");
}

/** Mounts one directory at the same path of both hosts. */
async function shareDirectory(context: ScenarioContext, lab: LibvirtLab): Promise<void> {
  const shared = `${context.dir}/shared`;
  await Deno.mkdir(shared);
  await Deno.chmod(context.dir, 0o711);
  for (const host of [lab.source, lab.destination]) {
    const script = `mkdir ${SHARED} && mount --bind ${shared} ${SHARED}`;
    const { code, stderr } = await host.run(["sh", "-c", script]);
    if (code !== 0) throw new Error(`${host.name}: ${stderr}`);
  }
}
