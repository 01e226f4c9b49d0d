import { beginOn } from "../../launch/lab/lab.ts";
import { HOST_INIT } from "../../launch/lab/host_init.ts";
import { LabHost } from "../../support/lab_host.ts";
import { startSshd } from "../../support/lab_sshd.ts";
import type { ScenarioContext } from "../../support/scenario.ts";
import { poll } from "../../support/waiting.ts";
import { Switch } from "./switch.ts";

/** Ends all processes of a host, as its end would, but for the two that keep its namespaces. */
const KILL_ALL = `
self=$$
ps -eo pid=,ppid=,comm= | while read -r pid parent name; do
  case $pid:$parent:$name in 1:* | *:1:cat | $self:* | *:timeout) continue ;; esac
  [ "$parent" = "$self" ] || kill -9 "$pid"
done
`;

/** Three hosts on a switch, each with sshd, and a place from which all of them are reached. */
export class Fleet {
  readonly hosts: readonly [LabHost, LabHost, LabHost];
  /** A directory that the machine and every host see at the same path. */
  readonly shared: string;
  /** In front of a command, runs it where the operator is. */
  readonly operator: readonly string[];

  /** The context ends all of it. */
  static async start(context: ScenarioContext): Promise<Fleet> {
    const shared = `${context.dir}/shared`;
    await Deno.mkdir(shared);
    const network = context.use(await Switch.create(["host1", "host2", "host3"]));
    const hosts: LabHost[] = [];
    for (const { name, netns, address } of network.hosts) {
      const options = { name, netns, address, home: "/root" };
      const begun = await beginOn(context, HOST_INIT, shared, options);
      hosts.push(context.use(new LabHost(context, options, begun)));
    }
    for (const host of hosts) await startSshd(host, `${shared}/${host.name}`);
    const config = hosts.map(({ name, address }) =>
      [
        ...[`Host ${name}`, `HostName ${address}`, `IdentityFile ${shared}/${name}/key`],
        ...[`UserKnownHostsFile ${shared}/${name}/known_hosts`, "StrictHostKeyChecking yes", ""],
      ].join("\n")
    ).join("");
    await Deno.writeTextFile(`${shared}/ssh_config`, config);
    for (const host of hosts) {
      await Deno.mkdir(host.file("/root/.ssh"), { mode: 0o700 });
      await Deno.writeTextFile(host.file("/root/.ssh/config"), config);
    }
    const [one, two, three] = hosts;
    return new Fleet([one!, two!, three!], shared, ["ip", "netns", "exec", network.netns]);
  }

  private constructor(
    hosts: readonly [LabHost, LabHost, LabHost],
    shared: string,
    operator: readonly string[],
  ) {
    [this.hosts, this.shared, this.operator] = [hosts, shared, operator];
  }

  /** A host dies: no process of it ends in order. What it has stored is left. */
  async kill(host: LabHost): Promise<void> {
    await host.must("sh", "-c", KILL_ALL);
  }

  /** Starts sshd again on a host that had died. */
  async revive(host: LabHost): Promise<void> {
    await Deno.remove(host.file("/run/sshd.pid")).catch(() => {});
    host.start(["/usr/sbin/sshd", "-D", "-e", "-f", `${this.shared}/${host.name}/sshd_config`]);
    await poll("sshd to listen", async () => {
      return await Deno.stat(host.file("/run/sshd.pid")).then(() => true, () => undefined);
    });
  }
}
