import { beginHost, type BegunHost, LabHost, type LabHostOptions } from "../../support/lab_host.ts";
import { startSshd } from "../../support/lab_sshd.ts";
import { type Host, Network } from "../../support/network.ts";
import { assertNone, type ScenarioContext } from "../../support/scenario.ts";
import { vmferryPath } from "../../support/vmferry.ts";
import { WireCount } from "../../support/wire_count.ts";
import { HOST_INIT } from "./host_init.ts";
import { SystemdHost } from "./systemd_host.ts";
import { SYSTEMD_INIT } from "./systemd_init.ts";

const PROJECT = new URL("../../../../", import.meta.url).pathname.replace(/\/$/, "");

/** How the source names the destination; its ssh knows the name, the key and the host's key. */
export const DESTINATION = "ssh://root@host2";

/** Lines of sshd's unit: a login goes on when sshd ends. */
const SSHD = ["RuntimeDirectory=sshd", "KillMode=process"];

/** Two hosts with nothing of each other's, a cable between them, and sshd on the destination. */
export class LaunchLab<H extends LabHost = LabHost> {
  readonly source: H;
  readonly destination: H;
  /** The cable. */
  readonly network: Network;
  /** Connections over the cable since the start. */
  readonly wire: WireCount;
  /** A directory that the machine and both hosts see at the same path. */
  readonly shared: string;

  /** The context ends all of it. */
  static async start(context: ScenarioContext): Promise<LaunchLab> {
    return await LaunchLab.#make(context, HOST_INIT, async (options, begun) => {
      return await Promise.resolve(context.use(new LabHost(context, options, begun)));
    });
  }

  /** The same with systemd on both hosts; it starts sshd. */
  static async boot(context: ScenarioContext): Promise<LaunchLab<SystemdHost>> {
    return await LaunchLab.#make(context, SYSTEMD_INIT, async (options, begun) => {
      const host = context.use(new SystemdHost(context, options, begun));
      await host.booted();
      return host;
    });
  }

  static async #make<H extends LabHost>(
    context: ScenarioContext,
    script: string,
    make: (options: LabHostOptions, begun: BegunHost) => Promise<H>,
  ): Promise<LaunchLab<H>> {
    const shared = `${context.dir}/shared`;
    await Deno.mkdir(shared);
    const network = context.use(await Network.create());
    const wire = await WireCount.start(network);
    const begin = async (name: string, { name: netns, address }: Host) => {
      const options = { name, netns, address, home: "/root" };
      return await make(options, await beginOn(context, script, shared, options));
    };
    const [source, destination] = [
      await begin("host1", network.source),
      await begin("host2", network.destination),
    ];
    const lab = new LaunchLab(source, destination, network, wire, shared);
    await lab.#allowSsh(destination, source);
    return lab;
  }

  private constructor(
    source: H,
    destination: H,
    network: Network,
    wire: WireCount,
    shared: string,
  ) {
    this.source = source;
    this.destination = destination;
    this.network = network;
    this.wire = wire;
    this.shared = shared;
  }

  /** The other host. */
  peerOf(host: LabHost): H {
    return host === this.source ? this.destination : this.source;
  }

  /** Also lets the destination's root log in at the source, as `ssh://root@host1`. */
  async allowWayBack(): Promise<void> {
    await this.#allowSsh(this.source, this.destination);
  }

  /**
   * Limits what the source sends, so that a step lasts long enough to be disturbed.
   *
   * @param mibPerSecond MiB/s; `null` ends the limit.
   */
  async limitRate(mibPerSecond: number | null): Promise<void> {
    const filter = mibPerSecond === null ? ["del", "dev", "veth", "root"] : [
      ...["replace", "dev", "veth", "root", "tbf", "rate", `${mibPerSecond * 8}mibit`],
      ...["burst", "256k", "latency", "100ms"],
    ];
    await this.source.must("tc", "qdisc", ...filter);
  }

  /** Throws unless so many connections were made over the cable since the start. */
  async assertConnections(expected: number): Promise<void> {
    const made = await this.wire.connections();
    if (made.length === expected) return;
    assertNone([`${made.length} connections were made, expected ${expected}: ${made.join(", ")}`]);
  }

  async #allowSsh(server: LabHost, client: LabHost): Promise<void> {
    const keys = `${this.shared}/${server.name}`;
    await startSshd(server, keys, async (argv) => {
      if (server instanceof SystemdHost) await server.startService("ssh.service", argv, SSHD);
      else server.start(argv);
    });
    await Deno.mkdir(client.file("/root/.ssh"), { mode: 0o700 });
    const config = [
      ...[`Host ${server.name}`, `HostName ${server.address}`, `IdentityFile ${keys}/key`],
      ...[`UserKnownHostsFile ${keys}/known_hosts`, "StrictHostKeyChecking yes", ""],
    ];
    await Deno.writeTextFile(client.file("/root/.ssh/config"), config.join("\n"));
  }
}

/** Makes a host with a directory of its own, which sees vmferry and `shared`. */
export async function beginOn(
  context: ScenarioContext,
  script: string,
  shared: string,
  options: LabHostOptions,
): Promise<BegunHost> {
  const dir = `${context.dir}/${options.name}`;
  await Deno.mkdir(dir);
  const program = await Deno.realPath(vmferryPath());
  const seen = [shared, PROJECT, program.slice(0, program.lastIndexOf("/"))];
  const tools = await Deno.realPath(`${PROJECT}/.tools`).catch(() => undefined);
  if (tools !== undefined) seen.push(tools);
  return await beginHost(options, script, [options.name, dir, ...new Set(seen)]);
}
