import { runProgram } from "../../../src/cli/host/run_program.ts";
import type { RunProgram } from "../../../src/host/mod.ts";

/**
 * Boots systemd as the init of namespaces of its own. Everything that it writes stays in memory, over the
 * machine's files: at boot it empties /tmp, for one. The directory `$1` is shared with the machine.
 */
const BOOT = `
set -eu
# A cgroup of its own: systemd moves every process that it finds in its root.
group=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/vmferry-$$
mkdir "$group"
echo $$ >"$group/cgroup.procs"
echo "$group"
exec unshare --pid --mount --cgroup --uts --ipc --fork --kill-child sh -euc '
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root
cd /mnt/root
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p ".$1"
mount --bind "$1" ".$1"
for unit in systemd-tmpfiles-setup systemd-tmpfiles-setup-dev; do
  ln -s /dev/null "etc/systemd/system/$unit.service"
done
pivot_root . mnt
umount -l /mnt
exec env -i container=test PATH="$PATH" /lib/systemd/systemd --log-level=notice --unit=sysinit.target
' sh "$1"
`;

/** Prints the pid of the child of process \`$1\` that is the init of its namespaces, once systemd runs there. */
const WAIT = `
i=0
while [ $i -lt 200 ]; do
  pid=$(pgrep -P "$1" -f '^/lib/systemd/systemd ' | head -n 1)
  if [ -n "$pid" ] &&
    nsenter -t "$pid" -m -p -u -i -C systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded'
  then echo "$pid"; exit 0; fi
  i=$((i + 1))
  sleep 0.1
done
exit 1
`;

/** Whether this machine can boot it. */
export async function canBoot(): Promise<boolean> {
  const script =
    '[ "$(id -u)" = 0 ] && [ -x /lib/systemd/systemd ] && command -v unshare nsenter ' +
    "systemd-run && grep -q ' cgroup2 rw' /proc/mounts";
  return (await runProgram(["sh", "-c", script], { timeoutMs: 5_000 })).code === 0;
}

/** A host on which systemd runs. */
export class SystemdLab implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #group: string;
  readonly #pid: string;

  /** @param dir a directory of the machine that the host shares. */
  static async boot(dir: string): Promise<SystemdLab> {
    const child = new Deno.Command("sh", {
      args: ["-c", BOOT, "sh", dir],
      ...{ stdin: "null", stdout: "piped", stderr: "null", detached: true },
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const group = new TextDecoder().decode(value).trim();
    const waited = await runProgram(["sh", "-c", WAIT, "sh", `${child.pid}`], {
      timeoutMs: 30_000,
    });
    if (waited.code !== 0) throw new Error("systemd does not come up");
    return new SystemdLab(child, group, waited.stdout.trim());
  }

  private constructor(child: Deno.ChildProcess, group: string, pid: string) {
    this.#child = child;
    this.#group = group;
    this.#pid = pid;
  }

  /** Runs a program there. */
  readonly run: RunProgram = (argv, options) => {
    const enter = ["nsenter", "-t", this.#pid, "-m", "-p", "-u", "-i", "-C", "--"];
    return runProgram([...enter, ...argv], options);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    Deno.kill(Number(this.#pid), "SIGKILL");
    await this.#child.status;
    const remove = 'find "$1" -depth -type d -exec rmdir {} \\;';
    await runProgram(["sh", "-c", remove, "sh", this.#group], { timeoutMs: 5_000 });
  }
}
