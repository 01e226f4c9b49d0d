import type { Network } from "./network.ts";

const RULES = `
table inet wire {
  set made { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags dynamic; size 65535; }
  chain in {
    type filter hook input priority 0;
    iifname veth tcp flags & (syn | ack) == syn add @made { ip saddr . tcp sport . ip daddr . tcp dport }
  }
  chain out {
    type filter hook output priority 0;
    oifname veth tcp flags & (syn | ack) == syn add @made { ip saddr . tcp sport . ip daddr . tcp dport }
  }
}`;

/**
 * Counts the TCP connections over a cable by the first packet of each, as the kernel of the
 * destination sees it. A SYN that is sent again counts once.
 */
export class WireCount {
  readonly #netns: string;

  static async start({ destination }: Network): Promise<WireCount> {
    await nft(destination.name, RULES);
    return new WireCount(destination.name);
  }

  private constructor(netns: string) {
    this.#netns = netns;
  }

  /** Each connection so far as `ADDRESS:PORT -> ADDRESS:PORT`. */
  async connections(): Promise<string[]> {
    const json = await nft(this.#netns, "list set inet wire made", "--json");
    const { nftables } = JSON.parse(json) as {
      nftables: { set?: { elem?: { concat: (string | number)[] }[] } }[];
    };
    const elements = nftables.flatMap(({ set }) => set?.elem ?? []);
    return elements.map(({ concat: [from, port, to, service] }) =>
      `${from}:${port} -> ${to}:${service}`
    );
  }
}

async function nft(netns: string, rules: string, ...flags: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("ip", {
    args: ["netns", "exec", netns, "nft", ...flags, rules],
  }).output();
  if (!success) throw new Error(`nft ${rules}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
