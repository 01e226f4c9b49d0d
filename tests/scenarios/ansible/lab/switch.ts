/**
 * Network namespaces on one switch. Needs root, as `ip netns` does.
 *
 * @module
 */

/** A host on the switch. */
export interface SwitchedHost {
  /** Its hostname. */
  readonly name: string;
  /** Its network namespace. */
  readonly netns: string;
  readonly address: string;
}

/** A switch, and a host with a cable to it for each name. */
export class Switch implements AsyncDisposable {
  readonly hosts: readonly SwitchedHost[];
  /** The switch's own namespace, which reaches every host. */
  readonly netns: string;

  /** Makes the namespaces. */
  static async create(names: readonly string[]): Promise<Switch> {
    const made = new Switch(crypto.randomUUID().slice(0, 6), names);
    try {
      await made.#make();
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(id: string, names: readonly string[]) {
    this.netns = `vmf-${id}`;
    this.hosts = names.map((name, i) => ({
      ...{ name, netns: `vmf-${id}-${i + 1}`, address: `10.80.0.${i + 1}` },
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const netns of [this.netns, ...this.hosts.map((host) => host.netns)]) {
      await ip("netns", "del", netns).catch(() => {});
    }
  }

  async #make(): Promise<void> {
    const on = (netns: string, ...args: string[]) => ip("-n", netns, ...args);
    await ip("netns", "add", this.netns);
    await on(this.netns, "link", "add", "br0", "type", "bridge");
    await on(this.netns, "addr", "add", "10.80.0.254/24", "dev", "br0");
    await on(this.netns, "link", "set", "br0", "up");
    for (const { name, netns, address } of this.hosts) {
      await ip("netns", "add", netns);
      const cable = ["link", "add", name, "netns", this.netns, "type", "veth"];
      await ip(...cable, "peer", "name", "veth", "netns", netns);
      await on(this.netns, "link", "set", name, "master", "br0", "up");
      await on(netns, "addr", "add", `${address}/24`, "dev", "veth");
      await on(netns, "link", "set", "veth", "up");
      await on(netns, "link", "set", "lo", "up");
    }
  }
}

async function ip(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args }).output();
  if (success) return;
  throw new Error(`ip ${args.join(" ")} (as root): ${new TextDecoder().decode(stderr).trim()}`);
}
