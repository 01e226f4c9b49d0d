import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { openQmp } from "../../src/cli/host/open_qmp.ts";
import { silentLogger } from "../../src/io/mod.ts";
import { MigrationError } from "../../src/migrate/mod.ts";
import { inDirectory } from "../support/in_directory.ts";

/** What is said of a QMP socket that can't be had. */
async function saidOf(path: string): Promise<string> {
  const error = await assertRejects(
    () => openQmp(path, "source", silentLogger),
    MigrationError,
  );
  assertEquals([error.kind, error.code], ["refused", "qmp-unreachable"]);
  return error.message;
}

Deno.test("a QMP socket with a full backlog is reported as in use by another client", async () => {
  await inDirectory(async (dir) => {
    const path = `${dir}/qmp`;
    using _listener = Deno.listen({ transport: "unix", path });
    const waiting: Deno.Conn[] = [];
    const connect = () => Deno.connect({ transport: "unix", path }).catch(() => undefined);
    for (let conn; (conn = await connect());) waiting.push(conn);
    const said = await saidOf(path);
    for (const conn of waiting) conn.close();
    assertEquals(
      said,
      `QMP: QEMU takes no connection on ${path}: a QMP socket serves one client at a time, and ` +
        "another client (libvirt?) seems to use it. Close that client, or start QEMU with a second " +
        "QMP socket",
    );
  });
});

Deno.test("the vmferry that has a QMP socket is named", async () => {
  await inDirectory(async (dir) => {
    const path = `${dir}/qmp`;
    using _listener = Deno.listen({ transport: "unix", path });
    const script = "console.log(1); setTimeout(() => {}, 60_000)";
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", script, "--", "migrate", "--qmp", path, "tcp://host:1"],
      stdout: "piped",
    }).spawn();
    const waiting: Deno.Conn[] = [];
    try {
      await child.stdout.getReader().read();
      const connect = () => Deno.connect({ transport: "unix", path }).catch(() => undefined);
      for (let conn; (conn = await connect());) waiting.push(conn);
      assertStringIncludes(
        await saidOf(path),
        `. It is vmferry migrate (process ${child.pid}): 'vmferry status' reports on it`,
      );
    } finally {
      for (const conn of waiting) conn.close();
      child.kill("SIGKILL");
      await child.status;
    }
  });
});

Deno.test("a file that is no QMP socket is named by the path that was given", async () => {
  await inDirectory(async (dir) => {
    const near = `${"../".repeat(Deno.cwd().split("/").length)}..${dir}`;
    const cannot = "QMP: Can't connect to";
    const expected = ". Expected a running QEMU with -qmp unix:PATH,server=on,wait=off";
    await Deno.writeTextFile(`${dir}/file`, "");
    assertEquals(
      await saidOf(dir),
      `${cannot} unix://${dir}: it is a directory and no socket${expected}`,
    );
    const file = `${near}/file`;
    assertEquals(await saidOf(file), `${cannot} ${file}: it is a file and no socket${expected}`);
    const none = `${near}/none`;
    assertEquals(
      await saidOf(none),
      `${cannot} ${none}: No such file or directory (os error 2)${expected}`,
    );
    const listener = Deno.listen({ transport: "unix", path: `${dir}/first` });
    await Deno.rename(`${dir}/first`, `${dir}/left`);
    listener.close();
    // Deno closes it a moment later.
    const connects = () => Deno.connect({ transport: "unix", path: `${dir}/left` });
    while (await connects().then((to) => (to.close(), true), () => false));
    const left = `${near}/left`;
    assertEquals(
      await saidOf(left),
      `${cannot} ${left}: Connection refused (os error 111)${expected}`,
    );
  });
});
