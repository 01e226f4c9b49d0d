import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { runProgram } from "../../../src/cli/host/run_program.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { writeAll } from "../../../src/io/mod.ts";
import { openChannel, RpcError } from "../../../src/rpc/mod.ts";
import { copyOf, image, LaunchLab } from "./launch_lab.ts";

const FAST = { timeoutMs: 20_000 };

Deno.test("a launch starts QEMU in a session of its own, with its disk and its log", async () => {
  await using lab = await LaunchLab.make();
  const created = await lab.prepare();
  assertEquals(created.map((path) => path.slice(lab.dir.length)), [
    ...["/run", "/log", "/images", "/images/vd 0.qcow2", "/log/vm_1.log", "/log/vm_1.pid"],
  ]);
  const { started, log } = await lab.launch();
  const pid = await lab.pid();
  assertEquals([started, log], [`process ${pid}`, `${lab.dir}/log/vm_1.log`]);
  assertEquals(lab.qemu?.qmp, `${lab.dir}/run/qmp.sock`);
  const { stdout } = await runProgram(["ps", "-o", "sid=,ppid=,tty=", "-p", `${pid}`], FAST);
  assertEquals(stdout.trim().split(/ +/), [`${pid}`, "1", "?"]);
  assertEquals((await Deno.stat(`${lab.dir}/images/vd 0.qcow2`)).mode! & 0o777, 0o640);
  await lab.destination.outcome();
});

Deno.test("the undo of a launch ends QEMU and leaves nothing", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  await lab.prepare();
  await lab.launch();
  assert(await lab.pid());
  assertEquals(await lab.destination.undo(), []);
  assertEquals([await lab.pid(), await lab.files()], [undefined, before]);
  assertEquals([lab.record.state, lab.destination.mustStay], ["undone", false]);
  // Another launch of the guest waits meanwhile.
  const { undoing, state } = lab.records.at(-2)!;
  assertEquals([undoing, state], [true, "started"]);
});

Deno.test("the end of the session before the start undoes the launch", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  await lab.prepare();
  lab.source.abort("cancelled", "stopped");
  await assertRejects(() => lab.destination.outcome(), MigrationError);
  assertEquals(await lab.files(), before);
});

Deno.test("a QEMU that dies is reported at once, with its exit code and last words", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  await lab.prepare(lab.params({ start: lab.start(["-device", "no-such-device"]) }));
  const error = await assertRejects(() => lab.launch(), RpcError);
  assertEquals(error.code, "qemu-not-started");
  assertStringIncludes(error.message, "exit code 1");
  assertStringIncludes(error.message, "no-such-device");
  assertEquals(await lab.files(), before);
});

Deno.test("a source whose launch was refused may prepare again", async () => {
  await using lab = await LaunchLab.make();
  await lab.prepare(lab.params({ start: lab.start(["-device", "no-such-device"]) }));
  await assertRejects(() => lab.launch(), RpcError);
  await lab.prepare();
  await lab.launch();
  assert(await lab.pid());
});

Deno.test("an image that exists is refused and stays as it was", async () => {
  await using lab = await LaunchLab.make();
  await Deno.mkdir(`${lab.dir}/images`);
  await Deno.writeTextFile(`${lab.dir}/images/vd 0.qcow2`, "theirs");
  const before = await lab.files();
  const error = await assertRejects(() => lab.prepare(), RpcError);
  assertEquals(error.code, "image-exists");
  assertEquals(await lab.files(), before);
});

Deno.test("a file arrives with its content and mode, and goes with the undo", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  const bytes = crypto.getRandomValues(new Uint8Array(50_000));
  await lab.prepare(lab.params({ copies: [await copyOf(`${lab.dir}/fw/code.fd`, bytes)] }));
  await lab.send("file-0", bytes);
  assertEquals(await Deno.readFile(`${lab.dir}/fw/code.fd`), bytes);
  await lab.launch();
  assert((await lab.files()).includes("fw/code.fd f 50000 644"));
  await lab.destination.undo();
  assertEquals(await lab.files(), before);
});

Deno.test("a file that arrives with another content is refused, and nothing is left", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  const bytes = crypto.getRandomValues(new Uint8Array(1000));
  await lab.prepare(lab.params({ copies: [await copyOf(`${lab.dir}/fw/code.fd`, bytes)] }));
  await assertRejects(() => lab.send("file-0", bytes.toReversed()));
  const error = await assertRejects(() => lab.launch(), RpcError);
  assertEquals(error.code, "file-not-copied");
  assertEquals(await lab.files(), before);
});

Deno.test("a source that leaves while it sends a file leaves nothing", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  const bytes = new Uint8Array(1000);
  await lab.prepare(lab.params({ copies: [await copyOf(`${lab.dir}/fw/code.fd`, bytes)] }));
  const stream = await openChannel(lab.source, lab.rpc, "file-0");
  await writeAll(stream, bytes.subarray(500));
  while (!(await lab.files()).some((line) => line.includes(" 500 "))) await stream.reserve();
  lab.source.abort("cancelled", "stopped");
  await assertRejects(() => lab.destination.outcome(), MigrationError);
  assertEquals(await lab.files(), before);
});

Deno.test("a copy that begins after the launch was given up creates nothing", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  const bytes = new Uint8Array(1000);
  await lab.prepare(lab.params({ copies: [await copyOf(`${lab.dir}/fw/code.fd`, bytes)] }));
  await lab.destination.undo();
  await assertRejects(() => lab.send("file-0", bytes), RpcError, "given up");
  assertEquals(await lab.files(), before);
});

Deno.test("a file that is made while its copy arrives is not overwritten", async () => {
  await using lab = await LaunchLab.make();
  const bytes = new Uint8Array(1000);
  await lab.prepare(lab.params({ copies: [await copyOf(`${lab.dir}/images/code.fd`, bytes)] }));
  await Deno.writeTextFile(`${lab.dir}/images/code.fd`, "theirs");
  await assertRejects(() => lab.send("file-0", bytes));
  await assertRejects(() => lab.launch(), RpcError, "exists by now");
  assertEquals((await lab.files()).map((line) => line.split(" ")[0]), [
    "images",
    "images/code.fd",
  ]);
});

Deno.test("a rejected take-over ends QEMU and refuses the launch", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  lab.onStarted = () => Promise.reject(new Error("QMP does not answer"));
  await lab.prepare();
  await assertRejects(() => lab.launch(), RpcError, "QMP does not answer");
  assertEquals([await lab.pid(), await lab.files()], [undefined, before]);
});

Deno.test("a guest that may be here keeps QEMU and its images", async () => {
  await using lab = await LaunchLab.make();
  await lab.prepare();
  await lab.launch();
  const journal = lab.destination.guard({ write: () => Promise.resolve() });
  // deno-lint-ignore no-explicit-any -- only its state counts
  await journal.write({ state: "starting" } as any);
  assertEquals(lab.record.mayHaveGuest, true);
  assertEquals(await lab.destination.undo(), []);
  assert(await lab.pid());
});

Deno.test("a guest that has come keeps its command line, without the wait", async () => {
  await using lab = await LaunchLab.make();
  await lab.prepare();
  await lab.launch();
  assertEquals(await lab.destination.commit(), []);
  const script = await Deno.readTextFile(`${lab.dir}/lib/vm_1/start.sh`);
  assertStringIncludes(script, `'driver=qcow2,node-name=vd0,file.driver=file`);
  assert(!script.includes("incoming"), script);
  assertEquals((await Deno.stat(`${lab.dir}/lib/vm_1`)).mode! & 0o777, 0o700);
  const { argv } = JSON.parse(await Deno.readTextFile(`${lab.dir}/lib/vm_1/command.json`));
  assertEquals(argv.slice(1, 3), ["-machine", "q35,accel=tcg"]);
  const { code } = await runProgram(["sh", "-n", `${lab.dir}/lib/vm_1/start.sh`], FAST);
  assertEquals(code, 0);
  const logs = (await lab.files()).filter((line) => line.startsWith("log/"));
  assertEquals(logs.map((line) => line.split(" ")[0]), ["log/vm_1.log"]);
});

Deno.test("a log of an earlier launch of the guest stays", async () => {
  await using lab = await LaunchLab.make();
  await Deno.mkdir(`${lab.dir}/log`);
  await Deno.writeTextFile(`${lab.dir}/log/vm_1.log`, "earlier");
  await lab.prepare();
  const { log } = await lab.launch();
  assertEquals(log, `${lab.dir}/log/vm_1-m1.log`);
  await lab.destination.undo();
  assertEquals((await lab.files()).map((line) => line.split(" ")[0]), ["log", "log/vm_1.log"]);
});

Deno.test("an image gets the source's options", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/x.qcow2`;
  const options = { clusterBytes: 131072, extendedL2: true, lazyRefcounts: true, compat: "1.1" };
  const raw = { ...image("r", `${lab.dir}/r.raw`), format: "raw", allocated: true };
  await lab.prepare(lab.params({ images: [{ ...image("x", path), ...options }, raw] }));
  const { stdout } = await runProgram(["qemu-img", "info", "--output=json", path], FAST);
  const info = JSON.parse(stdout);
  assertEquals(info["cluster-size"], 131072);
  const { "extended-l2": l2, "lazy-refcounts": lazy } = info["format-specific"].data;
  assertEquals([l2, lazy], [true, true]);
  assert((await Deno.stat(`${lab.dir}/r.raw`)).blocks! >= 2048);
});

Deno.test("an image that is overwritten is no part of the undo", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/images/vd 0.qcow2`;
  await Deno.mkdir(`${lab.dir}/images`);
  await runProgram(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], FAST);
  const before = await lab.files();
  const params = lab.params({ images: [], reuse: [{ name: "vd0", path }] });
  await lab.prepare(params);
  await lab.launch();
  await lab.destination.undo();
  assertEquals(await lab.files(), before);
});

Deno.test("an image that a process has open is not overwritten", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/vd0.qcow2`;
  await runProgram(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], FAST);
  using _user = await Deno.open(path);
  const params = lab.params({ images: [], reuse: [{ name: "vd0", path }] });
  const error = await assertRejects(() => lab.prepare(params), RpcError);
  assertEquals(error.code, "image-in-use");
  assertStringIncludes(error.message, `(pid ${Deno.pid})`);
});

Deno.test("QEMU has no file of vmferry open but its log", async () => {
  const linksOf = async (pid: number | string) => {
    const names = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => name);
    const path = (fd: string) => Deno.readLink(`/proc/${pid}/fd/${fd}`).catch(() => "");
    return await Promise.all(names.map(path));
  };
  const inherited = await linksOf(Deno.pid);
  await using lab = await LaunchLab.make();
  await lab.prepare();
  await lab.launch();
  const pid = await lab.pid();
  const own = (await Promise.all([0, 1, 2].map((fd) => Deno.readLink(`/proc/${pid}/fd/${fd}`))))
    .map((path) => path.replace(lab.dir, ""));
  assertEquals(own, ["/dev/null", "/log/vm_1.log", "/log/vm_1.log"]);
  const pipes = (await linksOf(pid!)).filter((path) => path.startsWith("pipe:"));
  assertEquals(pipes.filter((path) => !inherited.includes(path)), []);
});

Deno.test("what another program makes at the same moment stays, and the launch is refused", async () => {
  for (const path of ["/images/vd 0.qcow2", "/log/vm_1.log", "/log/vm_1.pid"]) {
    await using lab = await LaunchLab.make("login", (host, dir) => {
      const at = `${dir}${path}`;
      const take = async (it: string) => {
        if (it !== at) return;
        await Deno.writeTextFile(at, "theirs");
      };
      return {
        ...host,
        run: async (argv, options) => {
          if (argv[1] === "-c" && argv[2]!.includes("set -C")) await take(argv[4]!);
          return await host.run(argv, options);
        },
        createFile: async (it) => {
          await take(it);
          return await host.createFile(it);
        },
      };
    });
    const error = await assertRejects(() => lab.prepare(), RpcError);
    assertEquals(error.code, "image-not-created", error.message);
    assertEquals(await Deno.readTextFile(`${lab.dir}${path}`), "theirs");
    assertEquals([lab.record.state, lab.destination.mustStay], ["undone", false]);
  }
});

Deno.test("a QEMU whose process name has a line end is ended", async () => {
  await using lab = await LaunchLab.make();
  await lab.prepare(lab.params({ start: lab.start(["-name", "vm 1,process=a) S 1\nb"]) }));
  await lab.launch();
  assert(await lab.pid());
  assertEquals(await lab.destination.undo(), []);
  assertEquals(await lab.pid(), undefined);
});
