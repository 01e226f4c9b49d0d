import { delay, systemClock, withDeadline } from "../../../src/io/mod.ts";
import { endChild, Output } from "./output.ts";
import { poll } from "./waiting.ts";

/** How a vmferry is started that finds the configuration. */
export interface Configured extends AsyncDisposable {
  readonly url: string;
  readonly prefix: readonly string[];
  /** How many came by way of the jump host. */
  readonly jumps: () => number;
}

/** A real sshd on loopback with keys of its own, and a user's key that it takes. */
export class Sshd implements AsyncDisposable {
  readonly port: number;
  /** The directory with the keys: `key`, `stranger` (a key that it does not take), `known_hosts`. */
  readonly dir: string;
  readonly #child: Deno.ChildProcess;
  readonly #output: Output;

  /**
   * @param motd what every login prints on standard output before its command.
   * @param environment what every login has set, such as `HOME`.
   */
  static async start(
    dir: string,
    motd = "",
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Sshd> {
    for (const name of ["host", "key", "stranger", "other-host"]) {
      await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${dir}/${name}`);
    }
    await Deno.copyFile(`${dir}/key.pub`, `${dir}/authorized`);
    await Deno.mkdir("/run/sshd", { recursive: true, mode: 0o755 });
    using free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = free.addr;
    free.close();
    const host = `[127.0.0.1]:${port}`;
    for (const [file, key] of [["known_hosts", "host"], ["changed_hosts", "other-host"]]) {
      const text = await Deno.readTextFile(`${dir}/${key}.pub`);
      await Deno.writeTextFile(`${dir}/${file}`, `${host} ${text}`);
    }
    await Deno.writeTextFile(`${dir}/motd`, motd);
    const env = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    await Deno.writeTextFile(
      `${dir}/login`,
      `#!/bin/sh\ncat ${dir}/motd\nexec env ${env.join(" ")} sh -c "$SSH_ORIGINAL_COMMAND"\n`,
      { mode: 0o755 },
    );
    await Deno.writeTextFile(
      `${dir}/sshd_config`,
      [
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `HostKey ${dir}/host`,
        `AuthorizedKeysFile ${dir}/authorized`,
        `PidFile ${dir}/sshd.pid`,
        ...["StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin yes"],
        "KbdInteractiveAuthentication no",
        // What a login shell's start-up files would print.
        `ForceCommand ${dir}/login`,
        "",
      ].join("\n"),
    );
    const child = new Deno.Command("/usr/sbin/sshd", {
      args: ["-D", "-e", "-f", `${dir}/sshd_config`],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const sshd = new Sshd(dir, port, child);
    const listening = async () => {
      while (!sshd.#output.text.includes("Server listening")) await delay(systemClock, 20);
    };
    const gone = child.status.then(() => {
      throw new Error(`sshd ended: ${sshd.#output.text}`);
    });
    gone.catch(() => {});
    await withDeadline(systemClock, 10_000, "sshd to listen", Promise.race([listening(), gone]));
    return sshd;
  }

  private constructor(dir: string, port: number, child: Deno.ChildProcess) {
    this.dir = dir;
    this.port = port;
    this.#child = child;
    this.#output = new Output(child.stderr);
  }

  get url(): string {
    return `ssh://127.0.0.1:${this.port}`;
  }

  /** Options of vmferry for a client that knows nothing but this server. */
  options(key = "key", hosts = "known_hosts"): string[] {
    return [
      `IdentityFile=${this.dir}/${key}`,
      "IdentitiesOnly=yes",
      "IdentityAgent=none",
      `UserKnownHostsFile=${this.dir}/${hosts}`,
      "GlobalKnownHostsFile=/dev/null",
      "StrictHostKeyChecking=yes",
    ].flatMap((option) => ["--ssh-option", option]);
  }

  /**
   * A home as a user may have it, whose `.ssh/config` says it all: `ferry` leads to this server with the
   * key of an agent, by way of the same server as a jump host. Disposed, the agent ends.
   */
  async configure(): Promise<Configured> {
    const { dir, port } = this;
    const agent = `${dir}/agent.sock`;
    const child = new Deno.Command("ssh-agent", {
      args: ["-D", "-a", agent],
      ...{ stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
    const dispose = async () => await endChild(child, 3000);
    try {
      const listens = () => Deno.stat(agent).then(() => true, () => undefined);
      await poll("ssh-agent to listen", listens, 10_000);
      await run("env", `SSH_AUTH_SOCK=${agent}`, "ssh-add", "-q", `${dir}/key`);
      const home = `${dir}/home`;
      await Deno.mkdir(`${home}/.ssh`, { recursive: true, mode: 0o700 });
      await Deno.writeTextFile(
        `${home}/.ssh/config`,
        [
          ...["Host ferry jump", "  HostName 127.0.0.1", `  Port ${port}`],
          `  IdentityAgent ${agent}`,
          `  UserKnownHostsFile ${dir}/known_hosts`,
          ...["  GlobalKnownHostsFile /dev/null", "  StrictHostKeyChecking yes"],
          ...["Host ferry", "  ProxyJump root@jump", ""],
        ].join("\n"),
        { mode: 0o600 },
      );
      const logins = () => this.#output.text.match(/Accepted publickey/g)?.length ?? 0;
      const before = logins();
      return {
        url: "ssh://root@ferry",
        // ssh takes the home from the list of users, whatever $HOME says.
        prefix: [
          ...["env", `XDG_CACHE_HOME=${dir}/cache`, "unshare", "--mount", "sh", "-c"],
          ...['mount --bind "$0" ~root && exec "$@"', home],
        ],
        jumps: () => logins() - before - 1,
        [Symbol.asyncDispose]: dispose,
      };
    } catch (error) {
      await dispose();
      throw error;
    }
  }

  get logs(): { title: string; text: string }[] {
    return [{ title: "sshd's stderr", text: this.#output.text }];
  }

  /** Ends every connection, as when the network is gone for good. */
  async cut(): Promise<void> {
    const { stdout } = await new Deno.Command("ps", {
      args: ["-o", "pid=", "--ppid", String(this.#child.pid)],
    }).output();
    for (const pid of new TextDecoder().decode(stdout).split(/\s+/).filter(Boolean)) {
      Deno.kill(Number(pid), "SIGKILL");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endChild(this.#child, 3000);
    await this.#output.ended;
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}
