import { firstChild, LabHost } from "../../support/lab_host.ts";
import { poll } from "../../support/waiting.ts";

/** How long systemd may take to boot, ms. */
const BOOT_MS = 90_000;

/** A host on which systemd runs, see `SYSTEMD_INIT`. */
export class SystemdHost extends LabHost {
  /** The process that boots systemd. */
  readonly #init = this.pid;

  /** Waits until systemd has booted. */
  async booted(): Promise<void> {
    this.pid = await poll(`${this.name}: systemd`, async () => {
      try {
        const pid = await this.#systemd();
        const argv = ["--target", String(pid), "--all", "--", "systemctl", "is-system-running"];
        const { stdout } = await new Deno.Command("nsenter", { args: argv, stderr: "null" })
          .output();
        const state = new TextDecoder().decode(stdout).trim();
        return ["running", "degraded"].includes(state) ? pid : undefined;
      } catch {
        return undefined;
      }
    }, BOOT_MS);
  }

  /** Boots it again: every process ends, /run and /tmp are empty, and enabled units start. */
  async reboot(): Promise<void> {
    const before = this.pid;
    await this.run(["systemctl", "reboot"]);
    await poll(`${this.name}: systemd to end`, async () => {
      return await Deno.stat(`/proc/${before}`).then(() => undefined, () => true);
    }, BOOT_MS);
    await this.booted();
  }

  /**
   * Makes a unit that starts at boot, and starts it.
   *
   * @param argv an absolute path and its arguments.
   * @param lines more lines of its section `[Service]`.
   */
  async startService(
    name: string,
    argv: readonly string[],
    lines: readonly string[] = [],
  ): Promise<void> {
    const text = [
      ...[
        "[Service]",
        "Type=exec",
        "WorkingDirectory=/",
        `ExecStart=${argv.map(quoted).join(" ")}`,
      ],
      ...lines,
      ...["[Install]", "WantedBy=multi-user.target", ""],
    ];
    await Deno.writeTextFile(this.file(`/etc/systemd/system/${name}`), text.join("\n"));
    await this.must("systemctl", "daemon-reload");
    await this.must("systemctl", "enable", "--now", "--quiet", "--", name);
  }

  /** A property of a unit; of one that does not exist, systemd's default. */
  async show(unit: string, property: string): Promise<string> {
    return await this.must("systemctl", "show", "--property", property, "--value", "--", unit);
  }

  /** Such as `active`, `inactive` or `failed`. */
  async isActive(unit: string): Promise<string> {
    return (await this.run(["systemctl", "is-active", "--", unit])).stdout.trim();
  }

  /** Such as `enabled`, `disabled` or `transient`; empty where there is no such unit file. */
  async isEnabled(unit: string): Promise<string> {
    return (await this.run(["systemctl", "is-enabled", "--", unit])).stdout.trim();
  }

  /** The pid of systemd, which has namespaces of its own below the first process. */
  async #systemd(): Promise<number> {
    for (const child of await childrenOf(this.#init)) {
      const name = await Deno.readTextFile(`/proc/${child}/comm`);
      if (name.trim() !== "unshare") continue;
      const pid = firstChild(child);
      const command = await Deno.readTextFile(`/proc/${pid}/comm`);
      if (command.trim() === "systemd") return pid;
    }
    throw new Error(`${this.name}: systemd does not run`);
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  return text.trim().split(" ").filter((word) => word !== "").map(Number);
}

/** A word of `ExecStart=` (systemd.service(5), "Command lines"). */
function quoted(word: string): string {
  const escaped = word.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  return `"${escaped.replaceAll("%", "%%").replaceAll("$", "$$$$")}"`;
}
