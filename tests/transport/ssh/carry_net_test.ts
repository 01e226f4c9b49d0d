import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { encodeHex } from "@std/encoding/hex";
import { NoPrefaceError } from "../../../src/transport/ssh/banner.ts";
import { CannotCarryError } from "../../../src/transport/ssh/carry.ts";
import type { OwnProgram } from "../../../src/transport/mod.ts";
import { inDirectory } from "../../support/in_directory.ts";
import { fakeVmferry, FarHost, programOf } from "./far_host.ts";

const VERSION = "1.0.0";
const OURS = programOf(fakeVmferry(VERSION));
/** An argument that every shell in between would like to take apart. */
const HARD = "a b'c\"$(echo no)`no`!!\\\n;*";

/** Runs `body` with a host that is new. */
async function onHost(body: (host: FarHost) => Promise<void>): Promise<void> {
  await inDirectory(async (dir) => {
    await Deno.mkdir(`${dir}/home`, { mode: 0o700 });
    await body(new FarHost(`${dir}/home`));
  });
}

async function why(host: FarHost, program: OwnProgram = OURS): Promise<string> {
  const error = await assertRejects(() => host.carry(program), CannotCarryError);
  return `${error.why} ${error.detail}`;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

async function ourSha(): Promise<string> {
  return await sha256((await OURS.read()).bytes);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

const SHELLS: readonly (readonly [name: string, path: string, ...args: string[]])[] = [
  ["dash", "/bin/dash"],
  ["bash", "/bin/bash", "--posix"],
  ["busybox", "/bin/busybox", "sh"],
];

for (const [name, path, ...args] of SHELLS.filter(([, path]) => exists(path))) {
  Deno.test(`${name} as sh: the program is carried once, and its arguments arrive as they are`, async () => {
    await onHost(async (host) => {
      await host.useSh(path, ...args);
      const given = ["receive", HARD];
      const said = `[receive][${HARD}]input`;
      assertEquals(await host.carry(OURS, given), { origin: "carried", said });
      assertEquals(await host.carry(OURS, given), { origin: "cached", said });
      assertEquals(host.files(), ["run.N", "vmferry"]);
      assertEquals(Deno.statSync(host.cache).mode! & 0o777, 0o700);
    });
  });
}

Deno.test({
  name: "a host whose tools are busybox's takes the program",
  ignore: !exists("/bin/busybox"),
  async fn() {
    await onHost(async (host) => {
      await Deno.mkdir(`${host.home}/bin`);
      const install = { args: ["--install", "-s", `${host.home}/bin`] };
      await new Deno.Command("/bin/busybox", install).output();
      host.env = { PATH: `${host.home}/bin` };
      const old = fakeVmferry(VERSION, "another build");
      await host.carry(programOf(old));
      assertEquals((await host.carry(OURS, [HARD])).said, `[${HARD}]input`);
      assertEquals((await host.carry(OURS, [HARD])).origin, "cached");
      assertEquals(host.files(), ["run.N", "vmferry"]);
    });
  },
});

for (const shell of ["/bin/bash", "/bin/tcsh", "/usr/bin/fish"].filter(exists)) {
  Deno.test(`${shell} as the login shell passes the start command on, and its banner is skipped`, async () => {
    await onHost(async (host) => {
      host.shell = shell;
      host.motd = "Welcome\r\n".repeat(20);
      assertEquals(await host.carry(OURS, [HARD]), {
        ...{ origin: "carried", said: `[${HARD}]input` },
      });
    });
  });
}

Deno.test("a forced command that is a vmferry is used as it is, and gets no script", async () => {
  await onHost(async (host) => {
    await host.install("shell", "#!/bin/sh\nprintf '\\0preface\\n'; cat\n");
    host.shell = `${host.home}/bin/shell`;
    host.motd = "Welcome\n";
    assertEquals(await host.carry(OURS), { origin: "forced", said: "\0preface\ninput" });
  });
});

Deno.test("a login shell that only repeats its command is no start script", async () => {
  await onHost(async (host) => {
    await host.install("shell", '#!/bin/sh\necho "not allowed: $2"\n');
    host.shell = `${host.home}/bin/shell`;
    await assertRejects(() => host.carry(OURS), NoPrefaceError, "not allowed");
  });
});

Deno.test("an installed vmferry of the same version is used, one of another version is not", async () => {
  await onHost(async (host) => {
    await host.install("vmferry", fakeVmferry("0.9.0", "installed"));
    assertEquals((await host.carry(OURS)).origin, "carried");
    await host.install("vmferry", fakeVmferry(VERSION, "installed"));
    assertEquals((await host.carry(OURS)).origin, "installed");
  });
});

Deno.test("the program runs with the umask of the login", async () => {
  await onHost(async (host) => {
    await host.install("shell", '#!/bin/sh\numask 0027\nexec sh "$@"\n');
    host.shell = `${host.home}/bin/shell`;
    const text = `#!/bin/sh\n[ "$1" = --version ] && echo "vmferry ${VERSION} (test)" || umask\n`;
    const program = programOf(new TextEncoder().encode(text));
    assertEquals(await host.carry(program), { origin: "carried", said: "0027\n" });
    await host.install("vmferry", text);
    assertEquals(await host.carry(program), { origin: "installed", said: "0027\n" });
  });
});

Deno.test("without a file to send, an installed vmferry is used and its absence is refused", async () => {
  await onHost(async (host) => {
    const noFile = { ...OURS, read: () => Promise.reject(new Error("it runs from its sources")) };
    const error = await assertRejects(() => host.carry(noFile), CannotCarryError);
    assertEquals([error.why, error.noFile], ["absent", "it runs from its sources"]);
    await host.install("vmferry", fakeVmferry(VERSION));
    assertEquals((await host.carry(noFile)).origin, "installed");
  });
});

Deno.test("a copy that was changed is replaced", async () => {
  await onHost(async (host) => {
    await host.carry(OURS);
    const copy = `${host.cache}/${await ourSha()}/vmferry`;
    const { bytes } = await OURS.read();
    for (const changed of [bytes.slice(1), bytes.map((b, i) => i === 40 ? b ^ 1 : b)]) {
      await Deno.writeFile(copy, changed);
      assertEquals((await host.carry(OURS)).origin, "carried");
      assertEquals(await Deno.readFile(copy), bytes);
    }
  });
});

Deno.test("copies of other contents are removed once no process runs them", async () => {
  await onHost(async (host) => {
    const other = fakeVmferry(VERSION, "another build");
    await host.carry(programOf(other));
    const old = `${host.cache}/${await sha256(other)}`;
    // As a process that was started from there and runs.
    await Deno.writeTextFile(`${old}/run.${Deno.pid}`, "");
    await host.carry(OURS);
    assert(exists(`${old}/vmferry`));
    await Deno.remove(`${old}/run.${Deno.pid}`);
    await host.carry(OURS);
    assert(!exists(old));
  });
});

Deno.test("a copy that a killed login left behind is not taken for whole, and is removed", async () => {
  await onHost(async (host) => {
    const dir = `${host.home}/.cache`;
    await host.carry(OURS);
    const ours = `${host.cache}/${await ourSha()}`;
    await Deno.remove(`${ours}/vmferry`);
    await Deno.writeFile(`${ours}/new.4194305`, new Uint8Array(10));
    assertEquals((await host.carry(OURS)).origin, "carried");
    assertEquals(host.files(), ["run.N", "vmferry"], dir);
  });
});

Deno.test("a login that ends during the copy leaves nothing", async () => {
  await onHost(async (host) => {
    const big = programOf(new Uint8Array(1 << 20));
    const child = host.login();
    const writer = child.stdin.getWriter();
    const { startScript } = await import("../../../src/transport/ssh/start_script.ts");
    const file = { size: 1 << 20, sha256: "0".repeat(64), room: 1 << 20 };
    const { version, machines } = big;
    await writer.write(startScript({ version, machines, file, args: [] }));
    await writer.write(new Uint8Array(1000));
    await writer.close();
    const output = await child.output().catch(() => child.status);
    assert(!output.success);
    assertEquals([...Deno.readDirSync(host.cache)], []);
  });
});

Deno.test("two sources that carry at once both start their program", async () => {
  await onHost(async (host) => {
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, i) => host.carry(OURS, [String(i)])),
    );
    assertEquals(all.map(({ said }) => said), all.map((_, i) => `[${i}]input`));
    assertEquals(new Set(host.files()), new Set(["run.N", "vmferry"]));
  });
});

Deno.test("what is sent and does not run there, or is damaged on its way, does not stay", async () => {
  await onHost(async (host) => {
    const broken = new TextEncoder().encode("#!/bin/sh\necho no such library >&2\nexit 1\n");
    assertEquals(await why(host, programOf(broken)), "run no such library");
    assertEquals([...Deno.readDirSync(host.cache)], []);
    await host.install(
      "head",
      '#!/bin/sh\n[ "$2" -gt 1000 ] && exec /usr/bin/head "$@"\n/usr/bin/head "$@" | tr d D\n',
    );
    assertEquals((await why(host)).split(" ")[0], "damaged");
    assertEquals([...Deno.readDirSync(host.cache)], []);
  });
});

Deno.test("a host of another processor or system, or without sha256sum, is refused", async () => {
  await onHost(async (host) => {
    await host.install(
      "uname",
      `#!/bin/sh\n[ "$1" = -m ] && echo riscv64 || /usr/bin/uname "$@"\n`,
    );
    assertEquals(await why(host), "machine riscv64");
    await host.install(
      "uname",
      `#!/bin/sh\n[ "$1" = -s ] && echo FreeBSD || /usr/bin/uname "$@"\n`,
    );
    assertEquals(await why(host), "system FreeBSD");
    assertEquals(exists(`${host.home}/.cache`), false);
  });
});

Deno.test("a host without room, or whose directory can't execute programs, is refused", async () => {
  await onHost(async (host) => {
    const df = 'echo "Filesystem 1024-blocks Used Available Capacity Mounted on"\n' +
      'echo "/dev/sda 100 90 10 90% /"\n';
    await host.install("df", `#!/bin/sh\n${df}`);
    assertMatch(await why(host), /^room 10 1024 \/.*\/carried-/);
    const mounts = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "noexec,mode=700", "tmpfs", `${host.home}`],
    }).output();
    assert(mounts.success);
    try {
      assertEquals((await why(host)).split(" ")[0], "noexec");
    } finally {
      await new Deno.Command("umount", { args: [host.home] }).output();
    }
  });
});

Deno.test("a home directory that is reached by a link has the copy", async () => {
  await onHost(async (host) => {
    await Deno.symlink("home", `${host.home}/../link`);
    host.env = { HOME: `${host.home}/../link` };
    assertEquals((await host.carry(OURS)).origin, "carried");
    assertEquals(host.files(), ["run.N", "vmferry"]);
  });
});

Deno.test("a directory that another user could have prepared is not used", async () => {
  await onHost(async (host) => {
    const tmp = `${host.home}/tmp`;
    await Deno.mkdir(tmp);
    host.env = { TMPDIR: tmp };
    await Deno.mkdir(`${host.home}/.cache/vmferry`, { recursive: true });
    await Deno.chmod(`${host.home}/.cache/vmferry`, 0o777);
    assertEquals((await host.carry(OURS)).origin, "carried");
    assertEquals([...Deno.readDirSync(`${host.home}/.cache/vmferry`)], []);
    const fallback = `${tmp}/vmferry-${Deno.uid()}`;
    assert(exists(`${fallback}/vmferry`));
    await Deno.chown(fallback, 1, null);
    assertEquals(await why(host), `private ${fallback}`);
    await Deno.remove(fallback, { recursive: true });
    await Deno.symlink(`${host.home}/.cache`, fallback);
    assertEquals(await why(host), `private ${fallback}`);
  });
});
