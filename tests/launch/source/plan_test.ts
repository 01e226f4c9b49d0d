import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { makePlan, type PlanOptions } from "../../../src/launch/source/plan.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { type LaunchFile, RpcError } from "../../../src/rpc/mod.ts";
import { ARGV, description, HOST, IMAGE, MISSING, WISHES } from "../plan/samples.ts";

const SHA = "5a".repeat(32);

/** A source whose files are all there, and whose QMP socket has another name, too. */
const SOURCE: PlanOptions = {
  description: description(),
  wishes: WISHES,
  disks: [{ name: "vd0", sizeBytes: IMAGE.virtualSize, format: "qcow2" }],
  qmpPath: "/link/q",
  realPath: (path) => Promise.resolve(path.replace("/link/", "/run/vm/")),
  describeHost: (paths) =>
    Promise.resolve({
      ...{ bootId: "b", network: "", addresses: [] },
      files: paths.map((_, i) => ({
        ...{ device: "8:1", inode: `${i}`, mount: undefined, block: undefined },
      })),
    }),
  run: (argv) => {
    const stdout = argv[0] === "uname"
      ? "x86_64\n"
      : argv[0] === "sha256sum"
      ? `${SHA}  ${argv[2]}\n`
      : argv.slice(4).map(() => "file 1000 644 8 512\n").join("");
    return Promise.resolve({ code: 0, stdout, stderr: "" });
  },
  signal: new AbortController().signal,
};

type Call = Parameters<typeof makePlan>[0]["rpc"]["call"];

const peerWith = (answer: (call: string, params: unknown) => unknown) => ({
  rpc: {
    call:
      ((call: string, params: unknown) =>
        Promise.resolve().then(() => answer(call, params))) as unknown as Call,
  },
  session: { progress: 0, patienceMs: 0 },
});

Deno.test("a plan asks for the host and for each file, with the hashes of those that are read", async () => {
  let asked: readonly LaunchFile[] = [];
  const plan = await makePlan(
    peerWith((call, params) => {
      if (call === "describeLaunchHost") return HOST;
      asked = (params as { files: readonly LaunchFile[] }).files;
      return { files: asked.map(({ name }) => ({ ...MISSING, name })) };
    }),
    SOURCE,
  );
  assertEquals(plan.findings.problems, []);
  assertEquals(plan.start.qmp, "/run/vm/q");
  assertEquals(asked.map(({ name, role, sha256 }) => [name, role, sha256]), [
    ["kernel", "read-only", SHA],
    ["vd0", "disk", null],
    ["qmp", "read-only", null],
    ["pidfile", "read-only", null],
    ["cwd", "directory", null],
  ]);
  assertEquals(plan.copies.map(({ from }) => from), ["/vm/boot/vmlinuz"]);
});

Deno.test("a destination that takes no launch is named as one", async () => {
  const peer = peerWith(() => {
    throw new RpcError("unknown-procedure", "no such call");
  });
  const error = await assertRejects(() => makePlan(peer, SOURCE), MigrationError);
  assertEquals([error.kind, error.code], ["refused", "launch-not-served"]);
  assertStringIncludes(error.message, "vmferry receive --launch");
});

Deno.test("an answer for another number of files is refused", async () => {
  const peer = peerWith((call) => call === "describeLaunchHost" ? HOST : { files: [] });
  await assertRejects(() => makePlan(peer, SOURCE), RpcError, "got 0");
});

Deno.test("a bare name that lies in QEMU's working directory is a path, another one is not", async () => {
  const machine = description([...ARGV, "-option-rom", "k.bin", "-bios", "bios-256k.bin"]);
  const asked: LaunchFile[] = [];
  const peer = peerWith((call, params) => {
    if (call === "describeLaunchHost") return HOST;
    asked.push(...(params as { files: readonly LaunchFile[] }).files);
    return { files: asked.map(({ name }) => ({ ...MISSING, name })) };
  });
  const names: string[][] = [];
  const plan = await makePlan(peer, {
    ...SOURCE,
    description: machine,
    wishes: { ...WISHES, maps: [{ from: "/vm", to: "/srv" }] },
    run: (argv, options) => {
      if (argv[4] !== "/vm") return SOURCE.run(argv, options);
      names.push(argv.slice(5));
      return Promise.resolve({ code: 0, stdout: "0\n", stderr: "" });
    },
  });
  assertEquals(names, [["k.bin", "bios-256k.bin"]]);
  const rom = asked.find(({ name }) => name === "option-rom");
  assertEquals([rom?.path, rom?.sha256], ["/srv/k.bin", SHA]);
  assertEquals(plan.copies.map(({ from }) => from), ["/vm/boot/vmlinuz", "/vm/k.bin"]);
  const { argv } = plan.start;
  assertEquals(argv[argv.indexOf("-option-rom") + 1], "/srv/k.bin");
  assertEquals(argv[argv.indexOf("-bios") + 1], "bios-256k.bin");
});
