import { systemClock, withDeadline } from "../../../../src/io/mod.ts";
import { QmpClient } from "../../../../src/qmp/mod.ts";
import { connectUnix } from "../../../../src/transport/mod.ts";
import type { LabHost } from "../../support/lab_host.ts";
import { accelerator } from "../../support/qemu.ts";
import { poll } from "../../support/waiting.ts";
import type { Fleet } from "./fleet.ts";

const MiB = 1 << 20;
/** `sti`, and `hlt` for ever: eight guests that do more are too many for a small machine. */
const PROGRAM = [0xfb, 0xf4, 0xeb, 0xfd];
/** Where the BIOS counts ticks of its timer, 18.2 a second, as long as the guest runs. */
const TICKS = 0x46c;

/** A small guest that only counts. */
export class FleetGuest {
  readonly name: string;
  /** The QMP socket for vmferry, on every host. */
  readonly qmp: string;
  /** That of the scenario. */
  readonly #watch: string;
  readonly #fleet: Fleet;

  /** Makes its image on the first host, starts it there, and waits until it counts. */
  static async start(fleet: Fleet, number: number): Promise<FleetGuest> {
    const guest = new FleetGuest(fleet, `vm${number}`);
    const [source] = fleet.hosts;
    const image = `/var/lib/vm/${guest.name}.raw`;
    await source.must("mkdir", "-p", "/var/lib/vm");
    const path = `${fleet.shared}/${guest.name}.raw`;
    await writeImage(path);
    await source.must("cp", "--sparse=always", path, image);
    await Deno.remove(path);
    const monitor = (socket: string) => ["-qmp", `unix:${socket},server=on,wait=off`];
    const node = { driver: "raw", "node-name": "vd0", file: { driver: "file", filename: image } };
    source.start([
      ...["qemu-system-x86_64", "-name", guest.name, "-machine", "pc-q35-7.2", "-m", "32"],
      ...["-accel", accelerator(), "-nodefaults", "-display", "none"],
      ...[...monitor(guest.qmp), ...monitor(guest.#watch)],
      ...["-blockdev", JSON.stringify(node), "-device", "virtio-blk-pci,id=vd0,drive=vd0"],
    ]);
    await guest.assertCounts(source);
    return guest;
  }

  private constructor(fleet: Fleet, name: string) {
    [this.#fleet, this.name] = [fleet, name];
    [this.qmp, this.#watch] = [`/run/${name}.qmp`, `/run/${name}.watch`];
  }

  /** The run state of its QEMU on a host; `none` where there is no QEMU. */
  async status(host: LabHost): Promise<string> {
    return await this.#execute<{ status: string }>(host, "query-status")
      .then(({ status }) => status, () => "none");
  }

  /** The hosts on which it runs. */
  async runsOn(): Promise<string[]> {
    const states = await Promise.all(this.#fleet.hosts.map((host) => this.status(host)));
    return this.#fleet.hosts.filter((_, i) => states[i] === "running").map(({ name }) => name);
  }

  /** Ticks of its timer since it was started. */
  async counter(host: LabHost): Promise<number> {
    const text = await this.#execute<string>(host, "human-monitor-command", {
      "command-line": `xp /1wx 0x${TICKS.toString(16)}`,
    });
    return parseInt(/: 0x([0-9a-f]{8})/.exec(text)?.[1] ?? "", 16);
  }

  /** It counts there, beyond `least`; returns the counter then. */
  async assertCounts(host: LabHost, least = 0): Promise<number> {
    const what = `${host.name}: ${this.name} to count beyond ${least}`;
    return await poll(
      what,
      async () => {
        const counter = await this.counter(host).catch(() => 0);
        return counter > least ? counter : undefined;
      },
      120_000,
      200,
    );
  }

  /** Kills its QEMU on a host. */
  async kill(host: LabHost): Promise<void> {
    await host.must("pkill", "-9", "-f", `^[^ ]*qemu-system.*${this.#watch}`);
    await poll(
      `${this.name} to end`,
      async () => await this.status(host) === "none" ? true : undefined,
    );
  }

  async #execute<T>(host: LabHost, command: string, args: object = {}): Promise<T> {
    const qmp = await QmpClient.open(await connectUnix(host.file(this.#watch)), {
      greetingTimeoutMs: 10_000,
    });
    try {
      const answer = qmp.executeUntyped(command, { ...args });
      return await withDeadline(systemClock, 10_000, `${host.name}: ${command}`, answer) as T;
    } finally {
      qmp.close();
    }
  }
}

/** An image of 16 MiB with the guest's program, and random data in its first half. */
async function writeImage(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const chunk = new Uint8Array(65536);
  for (let at = 0; at < 8 * MiB; at += chunk.length) {
    crypto.getRandomValues(chunk);
    if (at === 0) {
      chunk.set(PROGRAM);
      chunk.set([0x55, 0xaa], 510);
    }
    await file.write(chunk);
  }
  await file.truncate(16 * MiB);
}
