import { assert, assertEquals } from "@std/assert";
import { listenUnix } from "../../src/transport/mod.ts";
import { WaitingQemu } from "../support/fake_destination.ts";
import { inDirectory } from "../support/in_directory.ts";
import { vmferry } from "../support/program.ts";

const TICKET = "Zz09-_".repeat(11).slice(0, 64);

Deno.test("a ticket pasted as one line on standard input is accepted", async () => {
  const pasted = [
    `vmferry migrate --qmp PATH vmferry://127.0.0.1:1/${TICKET}\n`,
    `vmferry://127.0.0.1:1/${TICKET}\r\n`,
    `vmferry: listening on vmferry://127.0.0.1:1, with a ticket (single-use). On the source:\n` +
    `  vmferry migrate --qmp PATH vmferry://127.0.0.1:1/${TICKET}\n`,
  ];
  for (const typed of pasted) {
    const { code, stderr } = await vmferry(["migrate", "--qmp", "/none/qmp.sock", "-"], typed);
    assertEquals(code, 3, stderr);
    assert(stderr.includes("/none/qmp.sock"), stderr);
    assert(!stderr.includes("ticket stands in the command line"), stderr);
    assert(!stderr.includes(TICKET), stderr);
  }
});

Deno.test("a ticket in the command line is warned of, and never repeated, wherever it was put", async () => {
  const qmp = ["migrate", "--qmp", "/none/qmp.sock"];
  const right = await vmferry([...qmp, `vmferry://127.0.0.1:1/${TICKET}`]);
  assert(right.stderr.includes("ticket stands in the command line"), right.stderr);
  assertEquals(right.code, 3);
  const wrong = [
    [...qmp, `tcp://127.0.0.1:7450/${TICKET}`],
    [...qmp, `vmferry:/127.0.0.1:7450/${TICKET}`],
    [...qmp, "tcp://127.0.0.1:1", TICKET],
    ["status", `vmferry://127.0.0.1:7450/${TICKET}`],
    ["receive", "--qmp", "/q", "--listen", `vmferry://127.0.0.1:7450/${TICKET}`],
    [...qmp, `--secret-file=/x/${TICKET}`, "tcp://127.0.0.1:1"],
  ];
  const ends = await Promise.all(wrong.map((args) => vmferry(args)));
  for (const { stderr } of [right, ...ends]) assert(!stderr.includes(TICKET), stderr);
  assertEquals(ends.map((end) => end.code), wrong.map(() => 2));
});

Deno.test("both sides warn of a connection that is not encrypted", async () => {
  await inDirectory(async (dir) => {
    const secret = `${dir}/secret`;
    await Deno.writeTextFile(secret, "sixteen bytes ok", { mode: 0o600 });
    const safety = ["--insecure", "--secret-file", secret];
    const words = "is not encrypted: others on the way can read";
    const near = await vmferry(
      ["migrate", "--qmp", `${dir}/none`, ...safety, "tcp://192.0.2.1:7450"],
    );
    assert(near.stderr.includes(words), near.stderr);
    const far = await vmferry(
      [...["forward", ...safety], "--listen", "tcp://0.0.0.0:0", "--to", `x=unix://${dir}/x`],
      "",
      /listening on/,
    );
    assert(far.stderr.includes(words), far.stderr);
    assert(!`${near.stderr}${far.stderr}`.includes("sixteen bytes ok"));
  });
});

Deno.test("an end on loopback that asks for no secret says who can connect", async () => {
  await inDirectory(async (dir) => {
    const to = ["--to", `x=unix://${dir}/x`];
    const args = ["forward", "--listen", "tcp://127.0.0.1:0", ...to];
    const { stderr } = await vmferry(args, "", /listening on/);
    assert(stderr.includes("every user of this host can connect"), stderr);
    const ticket = ["forward", "--listen", "vmferry://127.0.0.1:0", ...to];
    const said = await vmferry(ticket, "", /There:\n.*\n/);
    assert(!said.stderr.includes("every user"), said.stderr);
    assert(said.stderr.includes("valid as long as this runs"), said.stderr);
    assert(/ {2}vmferry forward --from .* vmferry:/.test(said.stderr), said.stderr);
  });
});

Deno.test("wrong usage is exit 2 also where it shows late", async () => {
  await inDirectory(async (dir) => {
    const long = `${dir}/${"x".repeat(80)}`;
    const listener = Deno.listen({ transport: "unix", path: `${dir}/qmp` });
    const serving = (async () => {
      for await (const conn of listener) answerQmp(conn);
    })().catch(() => {});
    const runDir = ["--qmp", `${dir}/qmp`, "--run-dir", long];
    const ends = await Promise.all([
      vmferry(["migrate", ...runDir, "tcp://127.0.0.1:1"]),
      vmferry(["receive", ...runDir, "--listen", "tcp://127.0.0.1:0"]),
    ]);
    for (const { code, stderr } of ends) {
      assertEquals(code, 2, stderr);
      assert(stderr.includes("107 bytes at most"), stderr);
    }
    listener.close();
    await serving;
  });
});

Deno.test("a receive whose disks are not there is refused before it listens", async () => {
  await inDirectory(async (dir) => {
    const acceptor = await listenUnix(`${dir}/qmp`);
    const serving = (async () => {
      for (let pipe; (pipe = await acceptor.accept());) new WaitingQemu(pipe);
    })();
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { code, stderr } = await vmferry([
      ...["receive", "--qmp", `${dir}/qmp`, "--run-dir", dir, "--disk", "vd0=nope"],
      ...["--listen", `tcp://127.0.0.1:${taken.addr.port}`],
    ]);
    assertEquals(code, 3, stderr);
    assert(stderr.includes("--disk vd0=nope: there is no disk nope. Disks: vd0"), stderr);
    acceptor.close();
    await serving;
  });
});

Deno.test("a check that can't ask QEMU what it is names no side", async () => {
  const check = ["check", "--qmp", "/none/qmp.sock"];
  const [alone, toward] = await Promise.all([
    vmferry(check),
    vmferry([...check, "tcp://127.0.0.1:1"]),
  ]);
  assertEquals([alone.code, toward.code], [3, 3]);
  assert(/^vmferry: QMP: /m.test(alone.stderr), alone.stderr);
  assert(/^vmferry: source: QMP: /m.test(toward.stderr), toward.stderr);
});

Deno.test("a run directory that can't be one is exit 2 wherever it is given", async () => {
  await inDirectory(async (dir) => {
    await Deno.writeTextFile(`${dir}/file`, "");
    const commands = [["status"], ["cancel"], ["set", "bandwidth=1M"], ["recover", "--qmp", "/q"]];
    const ends = await Promise.all(
      commands.map((args) => vmferry([...args, "--run-dir", `${dir}/file`])),
    );
    for (const { code, stderr } of ends) {
      assertEquals(code, 2, stderr);
      assert(stderr.includes(`--run-dir: got "${dir}/file", which is no directory`), stderr);
    }
  });
});

/** A QMP server that greets and says yes. */
async function answerQmp(conn: Deno.Conn): Promise<void> {
  const say = (message: unknown) =>
    conn.write(new TextEncoder().encode(`${JSON.stringify(message)}\r\n`));
  const version = { qemu: { micro: 0, minor: 2, major: 7 }, package: "" };
  await say({ QMP: { version, capabilities: [] } });
  for await (const line of conn.readable.pipeThrough(new TextDecoderStream())) {
    for (const text of line.split("\n").filter((l) => l.trim() !== "")) {
      const { id, execute } = JSON.parse(text);
      const answers: Record<string, unknown> = { "query-version": version, "qmp_capabilities": {} };
      await say({ id, return: answers[execute] ?? [] });
    }
  }
}
