import { systemClock, withDeadline } from "../../../../src/io/mod.ts";
import { QmpClient } from "../../../../src/qmp/mod.ts";
import { connectUnix } from "../../../../src/transport/mod.ts";
import { GUEST_STATE, makeImage } from "../../guest/mod.ts";
import type { LabHost } from "../../support/lab_host.ts";
import { accelerator } from "../../support/qemu.ts";
import { poll } from "../../support/waiting.ts";
import type { Fleet } from "./fleet.ts";

const MiB = 1 << 20;

/** A small guest that counts on its disk. */
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
    const ring = { start: 2048, length: 4096, runId: 0x5eed_0044_0000_0000n + BigInt(number) };
    const path = `${fleet.shared}/${guest.name}.raw`;
    await makeImage({ path, format: "raw" }, {
      ...{ bytes: 16 * MiB, seed: number, randomBytes: 8 * MiB },
      guest: { ring, waitUs: 20_000 },
    });
    await source.must("cp", "--sparse=always", path, image);
    await Deno.remove(path);
    const monitor = (socket: string) => ["-qmp", `unix:${socket},server=on,wait=off`];
    const node = { driver: "raw", "node-name": "vd0", file: { driver: "file", filename: image } };
    source.start([
      // Eight guests that count are more than a small machine has time for.
      ...["nice", "-n", "15", "qemu-system-x86_64", "-name", guest.name],
      ...["-machine", "pc-q35-7.2", "-m", "32"],
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

  /** The counter that it is writing. */
  async counter(host: LabHost): Promise<number> {
    const text = await this.#execute<string>(host, "human-monitor-command", {
      "command-line": `xp /1wx 0x${GUEST_STATE.counter.toString(16)}`,
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
