import { assertEquals, assertMatch } from "@std/assert";
import { describeProcess, QemuProcessError } from "../../../src/cli/host/qemu_process.ts";
import { runProgram } from "../../../src/cli/host/run_program.ts";
import type { RunProgram } from "../../../src/host/mod.ts";
import type { QemuProcess } from "../../../src/launch/mod.ts";
import { qemuBinary } from "../pair/versions.ts";
import { endChild } from "../support/output.ts";
import { run } from "../support/run_checked.ts";
import type { Scenario, ScenarioContext } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";

/** A QEMU is found by its socket however it was started, and refused with what to do where it is not. */
export const scenario: Scenario = {
  name: "qemu_process",
  about: "the QEMU behind a socket is described whatever started it, or refused with what to do",
  timeoutMs: 120_000,
  async run(context) {
    for (const [name, story] of Object.entries(STORIES)) {
      context.note(name);
      const dir = `${context.dir}/${name}`;
      await Deno.mkdir(dir);
      await story(context, dir);
    }
  },
};

type Story = (context: ScenarioContext, dir: string) => Promise<void>;

const STORIES: Readonly<Record<string, Story>> = {
  async words(context, dir) {
    await Deno.mkdir(`${dir}/work dir`);
    await start(context, `${dir}/work dir`, "vm.sock", {
      script: 'TZ=UTC SECRET=x LD_LIBRARY_PATH=/none exec "$@"',
      more: ["-name", "guest=a b\n\tc,,d", "-uuid", crypto.randomUUID()],
    });
    await Deno.symlink(`${dir}/work dir/vm.sock`, `${dir}/link.sock`);
    const found = await describeProcess(runProgram, `${dir}/link.sock`);
    assertEquals(found.argv.includes("guest=a b\n\tc,,d"), true);
    assertEquals(found.cwd, `${dir}/work dir`);
    assertEquals(found.environment, { TZ: "UTC" });
    assertEquals([found.user, found.replaced], [{ uid: 0, name: "root", group: "root" }, false]);
    assertEquals([found.unit, found.otherMounts], [null, null]);
    assertMatch(found.binary, /qemu-system-x86_64$/);
  },

  async daemon(context, dir) {
    await start(context, dir, `${dir}/vm.sock`, { more: ["-daemonize", "-pidfile", `${dir}/pid`] });
    const { pid } = await describeProcess(runProgram, `${dir}/vm.sock`);
    assertEquals(String(pid), (await Deno.readTextFile(`${dir}/pid`)).trim());
  },

  async inherited(context, dir) {
    const script = 'exec 9>"$0.lock"; exec "$@"';
    await start(context, dir, `${dir}/vm.sock`, { script });
    const { descriptors } = await describeProcess(runProgram, `${dir}/vm.sock`);
    const ours = descriptors.filter(({ target }) => target.startsWith(dir));
    assertEquals(ours, [{ fd: 9, target: `${dir}/vm.sock.lock` }]);
  },

  async replaced(context, dir) {
    if (await isWrapper()) return;
    await Deno.copyFile(await which(qemuBinary("source")), `${dir}/qemu-system-x86_64`);
    await start(context, dir, `${dir}/vm.sock`, {
      // Modules are looked for beside the binary, too.
      script: 'QEMU_MODULE_DIR=/usr/lib/x86_64-linux-gnu/qemu exec "$@"',
      binary: `${dir}/qemu-system-x86_64`,
    });
    await Deno.remove(`${dir}/qemu-system-x86_64`);
    const { binary, replaced } = await describeProcess(runProgram, `${dir}/vm.sock`);
    assertEquals([binary, replaced], [`${dir}/qemu-system-x86_64`, true]);
  },

  async namespaces(context, dir) {
    const script = 'exec unshare --net --mount --pid --fork --mount-proc -- "$@"';
    await start(context, dir, `${dir}/vm.sock`, { script });
    const { otherMounts, argv } = await describeProcess(runProgram, `${dir}/vm.sock`);
    assertMatch(otherMounts ?? "", /has a mount namespace of its own/);
    assertEquals(argv.includes("-nodefaults"), true);
  },

  async container(context, dir) {
    if (await isWrapper()) return;
    for (const name of ["upper", "work", "root", "shared"]) await Deno.mkdir(`${dir}/${name}`);
    const script = `
      mount -t tmpfs none "${dir}/upper" && mkdir "${dir}/upper/u" "${dir}/upper/w" &&
      mount -t overlay none -o "lowerdir=/usr,upperdir=${dir}/upper/u,workdir=${dir}/upper/w" "${dir}/root" || exit 1
      mkdir -p "${dir}/root/usr" "${dir}/root/proc" "${dir}/root/dev" "${dir}/root/shared" "${dir}/root/etc"
      mount --bind /usr "${dir}/root/usr" && mount --bind /proc "${dir}/root/proc" &&
      mount --bind /dev "${dir}/root/dev" && mount --bind "${dir}/shared" "${dir}/root/shared" || exit 1
      exec chroot "${dir}/root" "$@"`;
    const socket = `${dir}/shared/vm.sock`;
    await start(context, dir, socket, {
      script: `exec unshare --mount -- sh -c '${script}' "$0" "$@"`,
      inside: "/shared/vm.sock",
    });
    await assertRefused(describeProcess(runProgram, socket), "container", /another root directory/);
  },

  async stranger(context, dir) {
    await start(context, dir, `${dir}/vm.sock`, {});
    await Deno.chmod(context.dir, 0o755);
    const denied = describeProcess(asNobody, `${dir}/vm.sock`);
    await assertRefused(
      denied,
      "denied",
      /may not look at those of others .* as root, or give its command/,
    );
  },

  async user(context, dir) {
    await Deno.chmod(dir, 0o777);
    await start(context, dir, `${dir}/vm.sock`, { script: `exec ${AS_NOBODY.join(" ")} "$@"` });
    for (const run of [runProgram, asNobody]) {
      const { user, argv } = await describeProcess(run, `${dir}/vm.sock`);
      assertEquals(user, { uid: 65534, name: "nobody", group: "nogroup" });
      assertEquals(argv.includes("-nodefaults"), true);
    }
  },

  async other(context, dir) {
    // Only processes with QEMU's name in their command line are looked at.
    const path = `${dir}/qemu.sock`;
    const child = new Deno.Command("socat", {
      args: [`UNIX-LISTEN:${path}`, "-"],
      ...{ stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
    context.use({
      async [Symbol.asyncDispose]() {
        await endChild(child, 0);
      },
    });
    await poll(`the socket ${path}`, () => Deno.stat(path).then(() => true, () => undefined));
    const found = describeProcess(runProgram, path);
    await assertRefused(found, "not-found", /^socat .* listens on .*, expected QEMU/);
  },
};

const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

const asNobody: RunProgram = (argv, options) => runProgram([...AS_NOBODY, ...argv], options);

interface How {
  /** For sh: starts `"$@"`, and has the socket's path as `$0`. */
  readonly script?: string;
  readonly more?: readonly string[];
  readonly binary?: string;
  /** The socket's path as QEMU sees it. */
  readonly inside?: string;
}

/** Starts a QEMU without a machine, and waits for its socket. */
async function start(
  context: ScenarioContext,
  cwd: string,
  socket: string,
  { script = 'exec "$@"', more = [], binary = qemuBinary("source"), inside = socket }: How,
): Promise<void> {
  const path = socket.startsWith("/") ? socket : `${cwd}/${socket}`;
  const argv = [
    ...[binary, "-machine", "none", "-nodefaults", "-display", "none"],
    ...["-qmp", `unix:${inside},server=on,wait=off`, ...more],
  ];
  const child = new Deno.Command("sh", {
    args: ["-c", script, path, ...argv],
    cwd,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const words = new Response(child.stderr).text();
  context.use({
    async [Symbol.asyncDispose]() {
      // The process may be a child of the one that was started, as a daemon is.
      const pid = await ended(describeProcess(runProgram, path));
      if (pid !== undefined) await ended(run(["kill", "-9", String(pid)]));
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await child.status;
    },
  });
  await poll(`QEMU's socket ${path}`, async () => {
    if (await Deno.stat(path).then(() => true, () => false)) return true;
    const early = await Promise.race([child.status, new Promise<void>((r) => setTimeout(r, 20))]);
    if (early && early.code !== 0) throw new Error(`QEMU ended: ${await words}`);
    return undefined;
  });
}

/** The process's id; `undefined` where there is none to end. */
async function ended(found: Promise<QemuProcess | void>): Promise<number | undefined> {
  try {
    return (await found)?.pid;
  } catch {
    return undefined;
  }
}

async function assertRefused(
  found: Promise<QemuProcess>,
  failure: QemuProcessError["failure"],
  words: RegExp,
): Promise<void> {
  const error = await found.then(() => undefined, (e: unknown) => e);
  if (!(error instanceof QemuProcessError)) {
    throw new Error(`Not refused: ${error}`, { cause: error });
  }
  assertEquals(error.failure, failure, error.message);
  assertMatch(error.message, words);
}

/** Whether the tested QEMU is a script: its binary, libraries and modules are elsewhere. */
async function isWrapper(): Promise<boolean> {
  return (await Deno.readTextFile(await which(qemuBinary("source")))).startsWith("#!");
}

async function which(program: string): Promise<string> {
  const { stdout } = await runProgram(["sh", "-c", 'command -v "$0"', program], {
    timeoutMs: 5000,
  });
  return stdout.trim();
}
