import { Network } from "../../support/network.ts";
import { assertNone, type ScenarioContext } from "../../support/scenario.ts";
import { LibvirtHost } from "./host.ts";
import { WireCount } from "../../support/wire_count.ts";

/** How a lab is made. */
export interface LabOptions {
  /**
   * The directory of an unpacked distribution for the destination, as `tools/libvirt.sh` makes it.
   * Default: `LIBVIRT_DEST` from the environment, else the machine's own.
   */
  readonly destinationRoot?: string;
  /** More lines for qemu.conf of both hosts. */
  readonly qemuConf?: readonly string[];
}

/** Two hosts with a libvirt each, and a cable between them. */
export class LibvirtLab {
  readonly source: LibvirtHost;
  readonly destination: LibvirtHost;
  /** The cable: `cut`, `restore`, `reset`, `lose`. */
  readonly network: Network;
  /** Connections over the cable since the start. */
  readonly wire: WireCount;
  #isLimited = false;

  /** The context ends all of it. */
  static async start(context: ScenarioContext, options: LabOptions = {}): Promise<LibvirtLab> {
    const network = context.use(await Network.create());
    const wire = await WireCount.start(network);
    const { source, destination } = network;
    const root = options.destinationRoot ?? Deno.env.get("LIBVIRT_DEST");
    const { qemuConf = [] } = options;
    const hosts = await Promise.allSettled([
      LibvirtHost.start(context, {
        name: "source",
        netns: source.name,
        address: source.address,
        qemuConf,
      }),
      LibvirtHost.start(context, {
        name: "destination",
        netns: destination.name,
        address: destination.address,
        qemuConf,
        ...(root ? { root } : {}),
      }),
    ]);
    const [from, to] = hosts.map((host) => {
      if (host.status === "rejected") throw host.reason;
      return host.value;
    });
    return new LibvirtLab(from!, to!, network, wire);
  }

  private constructor(
    source: LibvirtHost,
    destination: LibvirtHost,
    network: Network,
    wire: WireCount,
  ) {
    this.source = source;
    this.destination = destination;
    this.network = network;
    this.wire = wire;
  }

  /**
   * Limits what the source sends, so that a migration lasts long enough to be disturbed.
   *
   * @param mibPerSecond MiB/s; `null` ends the limit.
   */
  async limitRate(mibPerSecond: number | null): Promise<void> {
    if (mibPerSecond === null && !this.#isLimited) return;
    this.#isLimited = mibPerSecond !== null;
    const filter = mibPerSecond === null ? ["del", "dev", "veth", "root"] : [
      ...["replace", "dev", "veth", "root", "tbf", "rate", `${mibPerSecond * 8}mibit`],
      ...["burst", "256k", "latency", "100ms"],
    ];
    const { code, stderr } = await this.source.run(["tc", "qdisc", ...filter]);
    if (code !== 0) throw new Error(`tc qdisc ${filter.join(" ")}: ${stderr}`);
  }

  /** The other host. */
  peerOf(host: LibvirtHost): LibvirtHost {
    return host === this.source ? this.destination : this.source;
  }

  /** Throws unless so many connections were made over the cable since the start. */
  async assertConnections(expected: number): Promise<void> {
    const made = await this.wire.connections();
    if (made.length === expected) return;
    assertNone([`${made.length} connections were made, expected ${expected}: ${made.join(", ")}`]);
  }
}
