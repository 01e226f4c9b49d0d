/**
 * Two network namespaces joined by a veth pair: hosts with a cable between them that can be pulled.
 * Needs root, as `ip netns` does.
 *
 * @module
 */

/** The largest packet that passes where large ones are dropped, bytes. */
const PASSES = 1500;

/** One end of the cable. */
export interface Host {
  /** The namespace. */
  readonly name: string;
  readonly address: string;
  /** In front of a command, runs it there. */
  readonly prefix: readonly string[];
}

export class Network implements AsyncDisposable {
  readonly source: Host;
  readonly destination: Host;

  static async create(): Promise<Network> {
    const id = crypto.randomUUID().slice(0, 6);
    const network = new Network(`vmf-${id}-s`, `vmf-${id}-d`);
    const { source, destination } = network;
    try {
      for (const { name } of [source, destination]) await ip("netns", "add", name);
      await ip(
        ...["link", "add", "veth", "netns", source.name, "type", "veth"],
        ...["peer", "name", "veth", "netns", destination.name],
      );
      for (const { name, address } of [source, destination]) {
        await ip("-n", name, "addr", "add", `${address}/24`, "dev", "veth");
        await ip("-n", name, "link", "set", "veth", "up");
        await ip("-n", name, "link", "set", "lo", "up");
      }
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(source: string, destination: string) {
    const host = (name: string, address: string): Host => ({
      name,
      address,
      prefix: ["ip", "netns", "exec", name],
    });
    this.source = host(source, "10.79.0.1");
    this.destination = host(destination, "10.79.0.2");
  }

  /** Both hosts send no faster than this, Mbit/s, from now on. */
  async limit(mbit: number): Promise<void> {
    for (const { name } of [this.source, this.destination]) {
      await run(
        ...["ip", "netns", "exec", name, "tc", "qdisc", "replace", "dev", "veth", "root"] as const,
        ...["tbf", "rate", `${mbit}mbit`, "burst", "512kb", "latency", "50ms"],
      );
    }
  }

  /** How many bytes a host has sent into the cable. */
  async sentBytes({ name }: Host): Promise<number> {
    const text = await run("ip", "-n", name, "-j", "-s", "link", "show", "veth");
    const [{ stats64 }] = JSON.parse(text) as [{ stats64: { tx: { bytes: number } } }];
    return stats64.tx.bytes;
  }

  /** Pulls the cable: nothing passes, without a notice. */
  async cut(): Promise<void> {
    await ip("-n", this.source.name, "link", "set", "veth", "down");
  }

  /** Plugs it in again. */
  async restore(): Promise<void> {
    await ip("-n", this.source.name, "link", "set", "veth", "up");
  }

  /** Both hosts send packets of up to 9000 bytes over connections that are made from now on. */
  async jumbo(): Promise<void> {
    for (const { name } of [this.source, this.destination]) {
      await ip("-n", name, "link", "set", "veth", "mtu", "9000");
    }
  }

  /**
   * Both ends take the path for one of large packets, and it drops them without a word: an MTU
   * black hole. Needs `nft`.
   */
  async dropLarge(): Promise<void> {
    for (const { name } of [this.source, this.destination]) {
      const rules =
        "add table ip path; add chain ip path in { type filter hook input priority 0; }; " +
        `add rule ip path in meta length gt ${PASSES} drop`;
      await run("ip", "netns", "exec", name, "nft", rules);
    }
  }

  /** Packets of every size pass again. */
  async passLarge(): Promise<void> {
    for (const { name } of [this.source, this.destination]) {
      await run("ip", "netns", "exec", name, "nft", "delete table ip path");
    }
  }

  /** What `from` sends vanishes from now on; the other direction passes. */
  async lose(from: Host): Promise<void> {
    const to = from === this.source ? this.destination : this.source;
    // A neighbour that is not there takes the packets.
    await ip(
      ...["-n", from.name, "neigh", "replace", to.address, "dev", "veth"],
      ...["lladdr", "02:00:00:00:00:99", "nud", "permanent"],
    );
  }

  /** What `from` sends arrives again. */
  async find(from: Host): Promise<void> {
    const to = from === this.source ? this.destination : this.source;
    await ip("-n", from.name, "neigh", "del", to.address, "dev", "veth");
  }

  /** Resets every connection between the two (RST), as a firewall that forgot them does. */
  async reset(): Promise<void> {
    const { name } = this.destination;
    await run("ip", "netns", "exec", name, "ss", "-K", "dst", this.source.address);
  }

  /** The source's ports of the connections between the two, in the order in which they were made or not. */
  async ports(): Promise<number[]> {
    const { name } = this.destination;
    const { stdout } = await new Deno.Command("ip", {
      args: [
        "netns",
        "exec",
        name,
        "ss",
        "-Htn",
        "state",
        "established",
        "dst",
        this.source.address,
      ],
    }).output();
    return [...new TextDecoder().decode(stdout).matchAll(/:(\d+)\s*$/gm)].map(([, port]) =>
      Number(port)
    );
  }

  /** The bytes that have come to the destination so far, by the source's port of each connection. */
  async received(): Promise<Map<number, number>> {
    const filter = ["state", "established", "dst", this.source.address];
    const text = await run(
      ...["ip", "netns", "exec", this.destination.name] as const,
      ...["ss", "-HtniO", ...filter],
    );
    return new Map(
      text.split("\n").flatMap((line) => {
        const port = /:(\d+)\s/.exec(line.slice(line.indexOf(this.source.address)))?.[1];
        return port ? [[Number(port), bytesIn(line)] as const] : [];
      }),
    );
  }

  /** The source's port of the connection by which most bytes have come to the destination. */
  async busiestPort(): Promise<number> {
    const found = [...await this.received()];
    if (found.length === 0) throw new Error("There is no connection between the two");
    return found.toSorted(([, a], [, b]) => b - a)[0]![0];
  }

  /** New connections get no answer from now on; those that exist go on. Needs `nft`. */
  async refuseNew(): Promise<void> {
    const rules =
      "add table ip fresh; add chain ip fresh in { type filter hook input priority 0; }; " +
      "add rule ip fresh in tcp flags & (syn | ack) == syn drop";
    await run("ip", "netns", "exec", this.destination.name, "nft", rules);
  }

  /** New connections are answered again. */
  async acceptNew(): Promise<void> {
    await run("ip", "netns", "exec", this.destination.name, "nft", "delete table ip fresh");
  }

  /** Resets the connection from this port of the source. */
  async resetOne(port: number): Promise<void> {
    const { name } = this.destination;
    const filter = ["dst", this.source.address, "dport", "=", `:${port}`];
    await run("ip", "netns", "exec", name, "ss", "-K", ...filter);
  }

  /** What comes from this port of the source vanishes from now on. Needs `nft`. */
  async loseOne(port: number): Promise<void> {
    const rules =
      "add table ip lane; add chain ip lane in { type filter hook input priority 0; }; " +
      `add rule ip lane in tcp sport ${port} drop`;
    await run("ip", "netns", "exec", this.destination.name, "nft", rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { name } of [this.source, this.destination]) {
      await ip("netns", "del", name).catch(() => {});
    }
  }
}

function bytesIn(line: string): number {
  return Number(/ bytes_received:(\d+)/.exec(line)?.[1] ?? 0);
}

async function ip(...args: string[]): Promise<void> {
  await run("ip", ...args);
}

/** Runs a program to its end; returns its output. */
async function run(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (code !== 0) {
    const text = new TextDecoder().decode(stderr).trim();
    throw new Error(`${program} ${args.join(" ")} (as root): ${text}`);
  }
  return new TextDecoder().decode(stdout);
}
