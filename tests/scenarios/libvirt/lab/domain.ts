import {
  differenceOutsideRing,
  GUEST_STATE,
  type GuestOptions,
  type Image,
  type ImageFormat,
  makeEmptyImage,
  makeImage,
  type Ring,
  verifyRing,
} from "../../guest/mod.ts";
import { assertNone } from "../../support/scenario.ts";
import { poll } from "../../support/waiting.ts";
import { domainXml } from "./domain_xml.ts";
import type { LibvirtHost } from "./host.ts";
import type { LibvirtLab } from "./lab.ts";

const MiB = 1024 * 1024;
const IMAGES = "/var/lib/libvirt/images";
const RING: Ring = { start: 2048, length: 8192, runId: 0x5eed_0001_0000_0002n };

/** A disk; sizes in bytes. */
export interface DomainDisk {
  readonly format: ImageFormat;
  /** Virtual size. Default 64 MiB. */
  readonly bytes?: number;
  /** Only so many bytes from its start hold data. Default: all. */
  readonly dataBytes?: number;
  /** A loop device over the image, with this path on either host. */
  readonly device?: string;
  /** Named as a volume of pool "default", in which the images are. */
  readonly isVolume?: boolean;
}

/** How a domain is made. */
export interface DomainOptions {
  /** Default `vm1`. */
  readonly name?: string;
  /** At least two: the guest counts on the first two. Default: qcow2 and raw. */
  readonly disks?: readonly DomainDisk[];
  /** Default 64. */
  readonly memoryMiB?: number;
  /** Default `pc-i440fx-7.2`, which QEMU 10.0 has too. */
  readonly machine?: string;
  readonly guest?: Partial<GuestOptions>;
  /** Has a definition that survives its end (`virsh define`). Default: transient. */
  readonly persistent?: boolean;
  /** Paused once the guest has counted a little. */
  readonly paused?: boolean;
  /** An empty CD image of this name, made on the source only. */
  readonly cdrom?: string;
  /** A libvirt network for a network card. */
  readonly network?: string;
  /** User and group of its QEMU and its images. Default: libvirt's. */
  readonly owner?: number;
  /** More elements for `<devices>`. */
  readonly devices?: string;
  /** Runs on KVM: see {@link LibvirtHost.allowKvm}. */
  readonly kvm?: boolean;
}

/** A domain whose guest counts on its disks, and the checks of its migration. */
export class RingDomain {
  readonly name: string;
  /** The definition with which it was started. */
  readonly xml: string;
  readonly #lab: LibvirtLab;
  readonly #options: DomainOptions;
  readonly #disks: readonly DomainDisk[];

  /** Makes the images on the source, starts the domain there, waits until the guest counts. */
  static async start(lab: LibvirtLab, options: DomainOptions = {}): Promise<RingDomain> {
    const domain = new RingDomain(lab, options);
    await domain.#start();
    return domain;
  }

  private constructor(lab: LibvirtLab, options: DomainOptions) {
    this.#lab = lab;
    this.#options = options;
    this.#disks = options.disks ?? [{ format: "qcow2" }, { format: "raw" }];
    this.name = options.name ?? "vm1";
    const { cdrom, network, devices, owner } = options;
    this.xml = domainXml({
      name: this.name,
      uuid: crypto.randomUUID(),
      memoryMiB: options.memoryMiB ?? 64,
      machine: options.machine ?? "pc-i440fx-7.2",
      disks: this.#disks.map(({ format, device, isVolume }, i) => ({
        ...{ path: this.path(i), format },
        ...(device === undefined ? {} : { device }),
        ...(isVolume ? { volume: this.path(i).slice(IMAGES.length + 1) } : {}),
      })),
      ...(cdrom !== undefined ? { cdrom: `${IMAGES}/${cdrom}` } : {}),
      ...(network !== undefined ? { network } : {}),
      ...(devices !== undefined ? { devices } : {}),
      ...(owner !== undefined ? { owner } : {}),
      kvm: options.kvm ?? false,
    });
  }

  /** Path of a disk's image, as either host has it. */
  path(disk: number): string {
    return `${IMAGES}/${this.name}-${disk}.${this.#disks[disk]!.format}`;
  }

  /** A disk's image on a host, for the scenario. */
  image(host: LibvirtHost, disk: number): Image {
    return { path: host.file(this.path(disk)), format: this.#disks[disk]!.format };
  }

  /** Makes empty images as the domain has them; on the destination where no other is named. */
  async makeEmptyImages(host = this.#lab.destination): Promise<void> {
    for (const [i, { bytes = 64 * MiB }] of this.#disks.entries()) {
      await makeEmptyImage(this.image(host, i), bytes);
    }
  }

  /** Removes its images from a host on which it does not run. */
  async removeImages(host: LibvirtHost): Promise<void> {
    for (const i of this.#disks.keys()) await Deno.remove(this.image(host, i).path);
  }

  /** The counter that the guest is writing. */
  async counter(host: LibvirtHost): Promise<number> {
    return await this.#word(host, GUEST_STATE.counter);
  }

  /** Throws when the guest has found a page of its RAM that is not as it left it. */
  async assertRamWhole(host: LibvirtHost): Promise<void> {
    const faults = await this.#word(host, GUEST_STATE.ramFaults);
    if (faults > 0) throw new Error(`${host.name}: the guest found ${faults} pages changed`);
  }

  async #word(host: LibvirtHost, address: number): Promise<number> {
    const command = `xp /1wx 0x${address.toString(16)}`;
    const text = await host.virsh("qemu-monitor-command", "--hmp", this.name, command);
    const word = text.match(/: 0x([0-9a-f]{8})/)?.[1];
    if (word === undefined) throw new Error(`Got "${text}", expected a word of RAM`);
    return parseInt(word, 16);
  }

  /** Waits until the guest has counted to `least`; returns the counter then. */
  async waitCounter(host: LibvirtHost, least: number, timeoutMs = 120_000): Promise<number> {
    const ask = async () => {
      const counter = await this.counter(host);
      return counter >= least ? counter : undefined;
    };
    return await poll(`${host.name}: the guest to count to ${least}`, ask, timeoutMs, 100);
  }

  /** The domain runs on this host and on no other one, and its guest keeps counting. */
  async assertRunsOnlyOn(host: LibvirtHost): Promise<void> {
    const expected = this.#options.paused ? "paused" : "running";
    const [here, there] = [host, this.#lab.peerOf(host)];
    const state = (await here.domains()).get(this.name);
    const other = (await there.domains()).get(this.name);
    const faults: string[] = [];
    if (state !== expected) faults.push(`${here.name}: ${state ?? "absent"}, expected ${expected}`);
    if (other !== undefined && other !== "shut off") {
      faults.push(`${there.name}: ${other}, expected no active domain`);
    }
    assertNone(faults);
    if (expected === "paused") return;
    await this.waitCounter(here, await this.counter(here) + 100);
  }

  /**
   * The domain runs on this host only, every write of its guest is on the images there, and the rest
   * of each image is as on the other host. Destroys the domain.
   */
  async assertArrived(host = this.#lab.destination): Promise<void> {
    await this.assertRunsOnlyOn(host);
    if (this.#options.paused) await host.virsh("resume", this.name);
    const last = await this.waitCounter(host, await this.counter(host) + 100);
    await host.virsh("destroy", this.name);
    const peer = this.#lab.peerOf(host);
    for (const i of this.#disks.keys()) {
      if (i < 2) {
        const report = await verifyRing(this.image(host, i), this.ring, i);
        assertNone(report.faults);
        if (report.highest < last - 2) {
          throw new Error(`Disk ${i} ends at ${report.highest}, expected ${last - 2} or more`);
        }
      }
      const [from, to] = [this.image(peer, i), this.image(host, i)];
      const difference = await differenceOutsideRing(from, to, this.ring);
      if (difference) throw new Error(difference);
    }
  }

  /** Where the guest counts. */
  get ring(): Ring {
    return this.#options.guest?.ring ?? RING;
  }

  async #start(): Promise<void> {
    const { source } = this.#lab;
    const guest: GuestOptions = { ring: this.ring, disks: 2, ...this.#options.guest };
    for (const [i, disk] of this.#disks.entries()) {
      const bytes = disk.bytes ?? 64 * MiB;
      await makeImage(this.image(source, i), {
        bytes,
        seed: i + 1,
        randomBytes: disk.dataBytes ?? bytes,
        ...(i === 0 ? { guest } : {}),
      });
      const { owner } = this.#options;
      if (owner !== undefined) await Deno.chown(this.image(source, i).path, owner, owner);
      if (disk.device) await source.attachLoop(this.path(i), disk.device, disk.format);
    }
    if (this.#options.cdrom !== undefined) {
      await Deno.writeFile(source.file(`${IMAGES}/${this.#options.cdrom}`), new Uint8Array(MiB));
    }
    // libvirt knows a volume that somebody else has made only after this.
    if (this.#disks.some(({ isVolume }) => isVolume)) await source.virsh("pool-refresh", "default");
    const file = `/run/${this.name}.xml`;
    await Deno.writeTextFile(source.file(file), this.xml);
    if (this.#options.persistent) {
      await source.virsh("define", file);
      await source.virsh("start", this.name);
    } else {
      await source.virsh("create", file);
    }
    await Deno.remove(source.file(file));
    await this.waitCounter(source, 50);
    if (this.#options.paused) await source.virsh("suspend", this.name);
  }
}
