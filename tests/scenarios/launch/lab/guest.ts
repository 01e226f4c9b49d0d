import { systemClock, withDeadline } from "../../../../src/io/mod.ts";
import { QmpClient } from "../../../../src/qmp/mod.ts";
import { connectUnix } from "../../../../src/transport/mod.ts";
import {
  differenceOutsideRing,
  GUEST_STATE,
  type GuestOptions,
  type Image,
  type ImageFormat,
  makeImage,
  type Ring,
  verifyRing,
} from "../../guest/mod.ts";
import type { LabHost } from "../../support/lab_host.ts";
import { accelerator } from "../../support/qemu.ts";
import { assertNone } from "../../support/scenario.ts";
import { poll } from "../../support/waiting.ts";
import type { LaunchLab } from "./lab.ts";

const MiB = 1 << 20;
const RING: Ring = { start: 2048, length: 8192, runId: 0x5eed_0021_0000_0002n };

/** The QMP socket for vmferry, on both hosts. */
export const QMP = "/run/vm1.qmp";
/** A disk of the guest. */
export interface LabDisk {
  /** Name of its device. Default `vd0`, `vd1` and so on. */
  readonly id?: string;
  /** Default `/var/lib/vm/vm1-0.qcow2` and so on, after {@link LabGuestOptions.files}. */
  readonly path?: string;
  readonly format: ImageFormat;
  /** Virtual size, bytes. Default 64 MiB. */
  readonly bytes?: number;
  /** So much from its start holds data, bytes. Default 16 MiB. */
  readonly dataBytes?: number;
  /** An image at this path gets the data, and the disk's own image is a qcow2 above it. */
  readonly backing?: string;
  /** Options of `qemu-img create` for the image. */
  readonly options?: string;
}

/** How a guest is made. */
export interface LabGuestOptions {
  /** Those in the command line. Default: a qcow2 and a raw one. The guest counts on all of them. */
  readonly disks?: readonly LabDisk[];
  /** Default `vm1`. */
  readonly name?: string;
  /** The first part of the names of its files and sockets. Default `vm1`. */
  readonly files?: string;
  /** The directory of its sockets. Default `/run`. */
  readonly sockets?: string;
  /** Its QEMU runs as this user, who owns the images; with `-runas` it is started by root. Default root. */
  readonly user?: string;
  readonly guest?: Partial<GuestOptions>;
  /** More arguments of QEMU. */
  readonly extra?: readonly string[];
  /** Changes the whole command line. */
  readonly argv?: (argv: readonly string[]) => readonly string[];
  /** The disks' arguments. Default: `-blockdev` and `-device`. */
  readonly diskArguments?: (disk: Required<Pick<LabDisk, "id" | "path" | "format">>) => string[];
  /** Default 128. */
  readonly memoryMiB?: number;
  /** Its firmware boots no disk of ours: nobody counts. */
  readonly idle?: boolean;
  /** QEMU's working directory. */
  readonly directory?: string;
  /** Starts QEMU at the source. Default: as a process of nobody's. */
  readonly start?: (argv: readonly string[]) => Promise<void>;
}

type MadeDisk = LabDisk & Required<Pick<LabDisk, "id" | "path">>;

/** A guest that counts on its disks on a host of the lab, and the checks of its migration. */
export class LabGuest {
  /** QEMU's command line at the source. */
  readonly argv: readonly string[];
  readonly disks: readonly MadeDisk[];
  /** The QMP socket for vmferry, on both hosts. */
  readonly qmp: string;
  /** The QMP socket for the scenario, on both hosts. */
  readonly #watch: string;
  readonly #lab: LaunchLab;
  readonly #ring: Ring;
  readonly #isIdle: boolean;

  /** Makes the images on the source, starts QEMU there, waits until the guest counts. */
  static async start(lab: LaunchLab, options: LabGuestOptions = {}): Promise<LabGuest> {
    const guest = new LabGuest(lab, options);
    for (const i of guest.disks.keys()) await guest.#makeImage(i, options.guest);
    const { directory = "/", user } = options;
    if (user !== undefined) await lab.source.must("chown", `${user}:`, "--", ...guest.images);
    const as = user === undefined || guest.argv.includes("-runas")
      ? []
      : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--init-groups", "--"];
    const command = ["env", "-C", directory, ...as, ...guest.argv];
    if (options.start) await options.start(guest.argv);
    else if (guest.argv.includes("-daemonize")) await lab.source.must(...command);
    else lab.source.start(command);
    await poll("the guest's QEMU", () => guest.status(lab.source).catch(() => undefined), 60_000);
    if (!options.idle) await guest.waitCounter(lab.source, 50);
    return guest;
  }

  private constructor(lab: LaunchLab, options: LabGuestOptions) {
    this.#lab = lab;
    this.#ring = options.guest?.ring ?? RING;
    this.#isIdle = options.idle ?? false;
    const { disks = [{ format: "qcow2" }, { format: "raw" }], files = "vm1" } = options;
    this.qmp = `${options.sockets ?? "/run"}/${files}.qmp`;
    this.#watch = this.qmp.replace(/qmp$/, "watch");
    this.disks = disks.map((disk, i) => ({
      ...{ id: `vd${i}`, path: `/var/lib/vm/${files}-${i}.${disk.format}` },
      ...disk,
    }));
    const monitor = (path: string) => ["-qmp", `unix:${path},server=on,wait=off`];
    const argv = [
      ...["qemu-system-x86_64", "-name", options.name ?? "vm1", "-machine", "pc-q35-7.2"],
      ...["-accel", accelerator(), "-m", String(options.memoryMiB ?? 128)],
      ...["-nodefaults", "-display", "none", ...monitor(this.qmp), ...monitor(this.#watch)],
      ...this.disks.flatMap(options.diskArguments ?? blockdev),
      ...options.extra ?? [],
    ];
    this.argv = options.argv?.(argv) ?? argv;
  }

  /** Its images, for {@link hostState}. */
  get images(): string[] {
    return this.disks.map(({ path }) => path);
  }

  /** Runs a QMP command of its QEMU on a host. */
  async execute<T>(host: LabHost, command: string, args: object = {}): Promise<T> {
    const qmp = await QmpClient.open(await connectUnix(host.file(this.#watch)), {
      greetingTimeoutMs: 10_000,
    });
    try {
      const what = `${host.name}: ${command}`;
      const answer = qmp.executeUntyped(command, { ...args });
      return await withDeadline(systemClock, 30_000, what, answer) as T;
    } finally {
      qmp.close();
    }
  }

  /** The run state of its QEMU on a host, from `query-status`. */
  async status(host: LabHost): Promise<string> {
    return (await this.execute<{ status: string }>(host, "query-status")).status;
  }

  /** Ends its QEMU on a host, so that its images are complete. */
  async quit(host: LabHost): Promise<void> {
    await this.execute(host, "quit").catch(() => {});
    const pattern = `^[^ ]*qemu-system.*${this.#watch}`;
    const gone = async () => (await host.run(["pgrep", "-f", pattern])).code === 1;
    await poll(`${host.name}: QEMU to end`, async () => await gone() || undefined);
  }

  /** The counter that the guest is writing. */
  async counter(host: LabHost): Promise<number> {
    const text = await this.execute<string>(host, "human-monitor-command", {
      "command-line": `xp /1wx 0x${GUEST_STATE.counter.toString(16)}`,
    });
    return parseInt(/: 0x([0-9a-f]{8})/.exec(text)?.[1] ?? "", 16);
  }

  /** Waits until the guest has counted to `least`; returns the counter then. */
  async waitCounter(host: LabHost, least: number, timeoutMs = 120_000): Promise<number> {
    const ask = async () => {
      const counter = await this.counter(host);
      return counter >= least ? counter : undefined;
    };
    return await poll(`${host.name}: the guest to count to ${least}`, ask, timeoutMs, 50);
  }

  /** The guest runs on this host and on no other one, and keeps counting. */
  async assertRunsOnlyOn(host: LabHost): Promise<void> {
    const other = this.#lab.peerOf(host);
    const there = await this.status(other).catch(() => "gone");
    const faults: string[] = [];
    if (there === "running") faults.push(`${other.name}: the guest runs there`);
    const here = await this.status(host);
    if (here !== "running") faults.push(`${host.name}: the guest is ${here}, expected running`);
    assertNone(faults);
    if (!this.#isIdle) await this.waitCounter(host, await this.counter(host) + 100);
  }

  /**
   * The guest runs on this host only, every write of it is on the images there, and the rest of each
   * image is as on the other host. Ends its QEMUs.
   *
   * @param pathOf an image's path on this host. Default: as at the source.
   */
  async assertArrived(
    host = this.#lab.destination,
    pathOf: (path: string) => string = (path) => path,
  ): Promise<void> {
    await this.assertRunsOnlyOn(host);
    const last = this.#isIdle ? 0 : await this.counter(host);
    const peer = this.#lab.peerOf(host);
    await Promise.all([host, peer].map((h) => this.quit(h)));
    for (const [i, disk] of this.disks.entries()) {
      if (!this.#isIdle) await this.#verifyRing(host, i, last, pathOf(disk.path));
      await this.assertSame(disk, host, pathOf(disk.path));
    }
  }

  /** Empties the ring on the images of a host, for a guest that boots from them and counts from the start. */
  async clearRing(host: LabHost): Promise<void> {
    const [start, length] = [this.#ring.start, this.#ring.length].map((sectors) => sectors * 512);
    for (const { path, format } of this.disks) {
      await host.must("qemu-io", "-f", format, "-c", `write -z ${start} ${length}`, path);
    }
  }

  /** A disk that no QEMU has open reads the same on both hosts, but for the ring. */
  async assertSame(
    { path, format }: Image,
    host = this.#lab.destination,
    pathThere = path,
  ): Promise<void> {
    const here = await this.#content(this.#lab.peerOf(host), { path, format });
    const there = await this.#content(host, { path: pathThere, format });
    const difference = await differenceOutsideRing(here, there, this.#ring);
    if (difference) throw new Error(`${path}: ${difference}`);
  }

  async #verifyRing(host: LabHost, i: number, last: number, path: string): Promise<void> {
    const content = await this.#content(host, { path, format: this.disks[i]!.format });
    const report = await verifyRing(content, this.#ring, i);
    assertNone(report.faults);
    if (report.highest < last - 2) {
      throw new Error(`Disk ${i} ends at ${report.highest}, expected ${last - 2} or more`);
    }
  }

  /** What a guest reads from an image, as a raw image that the scenario can open. */
  async #content(host: LabHost, { path, format }: Image): Promise<Image> {
    const raw = `${this.#lab.shared}/${host.name}.raw`;
    await host.must("qemu-img", "convert", "-f", format, "-O", "raw", `file:${path}`, raw);
    return { path: raw, format: "raw" };
  }

  async #makeImage(i: number, guest: Partial<GuestOptions> = {}): Promise<void> {
    const { source } = this.#lab;
    const { path, format, bytes = 64 * MiB, dataBytes = 16 * MiB, ...disk } = this.disks[i]!;
    const raw = { path: `${this.#lab.shared}/new.raw`, format: "raw" as const };
    const boot = { ring: RING, disks: this.disks.length, waitUs: 1000, ...guest };
    const content = { bytes, seed: i + 1, randomBytes: dataBytes };
    await makeImage(raw, i === 0 ? { ...content, guest: boot } : content);
    for (const made of [path, disk.backing ?? path]) {
      await source.must("mkdir", "-p", "--", made.slice(0, made.lastIndexOf("/")));
    }
    const convert = ["qemu-img", "convert", "-f", "raw"];
    const options = disk.options === undefined ? [] : ["-o", disk.options];
    if (disk.backing === undefined) {
      await source.must(...convert, "-O", format, ...options, raw.path, `file:${path}`);
    } else {
      const { backing } = disk;
      await source.must(...convert, "-O", "qcow2", raw.path, `file:${backing}`);
      const above = ["-f", format, "-b", backing, "-F", "qcow2", ...options, `file:${path}`];
      await source.must("qemu-img", "create", "-q", ...above);
    }
    await Deno.remove(raw.path);
  }
}

function blockdev({ id, path, format }: { id: string; path: string; format: string }): string[] {
  const node = { driver: format, "node-name": id, file: { driver: "file", filename: path } };
  return ["-blockdev", JSON.stringify(node), "-device", `virtio-blk-pci,id=${id},drive=${id}`];
}
