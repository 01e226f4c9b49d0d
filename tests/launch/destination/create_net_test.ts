import { assertEquals, assertRejects } from "@std/assert";
import { runProgram } from "../../../src/cli/host/run_program.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import type { RpcError } from "../../../src/rpc/mod.ts";
import { LaunchLab } from "./launch_lab.ts";

const FAST = { timeoutMs: 20_000 };

/** A host whose qemu-img waits for a line in the FIFO `go` before it creates an image. */
async function slowLab(): Promise<LaunchLab> {
  const lab = await LaunchLab.make("login", (host, dir) => ({
    ...host,
    run: (argv, options) => {
      const at = argv.indexOf("qemu-img");
      const isCreation = argv[at + 1] === "create";
      const wait = ["sh", "-c", 'read -r _ <"$1"; shift; exec "$@"', "sh", `${dir}/go`];
      const slow = isCreation ? [...argv.slice(0, at), ...wait, ...argv.slice(at)] : argv;
      return host.run(slow, options);
    },
  }));
  await runProgram(["mkfifo", `${lab.dir}/go`], FAST);
  return lab;
}

/** Resolves when the image's file is there. */
async function created(lab: LaunchLab): Promise<string> {
  while (!(await lab.files()).some((line) => line.includes(".qcow2 "))) { /* not yet */ }
  return `${lab.dir}/images/vd 0.qcow2`;
}

Deno.test("a qemu-img that outlives its vmferry does not make a removed image again", async () => {
  await using lab = await slowLab();
  const preparing = lab.prepare();
  const path = await created(lab);
  // As the next launch does, with an image of its own.
  await Deno.remove(path);
  await Deno.writeTextFile(path, "of the next launch");
  await Deno.writeTextFile(`${lab.dir}/go`, "\n");
  await preparing.catch(() => {});
  assertEquals(await Deno.readTextFile(path), "of the next launch");
});

Deno.test("a source that leaves while an image is created is not waited for", async () => {
  await using lab = await slowLab();
  const before = await lab.files();
  lab.prepare().catch(() => {});
  await created(lab);
  lab.source.abort("cancelled", "stopped");
  await assertRejects(() => lab.destination.outcome(), MigrationError);
  assertEquals(await lab.files(), before);
});

Deno.test("a directory that is made at the same moment is used by its owner's launch only", async () => {
  const cases: [make: (at: string, dir: string) => Promise<void>, isUsed: boolean][] = [
    [(at) => Deno.mkdir(at), true],
    [(at, dir) => Deno.symlink(dir, at), false],
    [async (at) => {
      await Deno.mkdir(at);
      await Deno.chown(at, 65534, 65534);
    }, false],
  ];
  for (const [make, isUsed] of cases) {
    await using lab = await LaunchLab.make("login", (host, dir) => ({
      ...host,
      run: async (argv, options) => {
        const isMade = argv[1] === "-c" && argv[2]!.includes("mkdir -m");
        if (isMade && argv[4] === `${dir}/images`) await make(argv[4], dir);
        return await host.run(argv, options);
      },
    }));
    const error = await lab.prepare().then(() => undefined, (error: RpcError) => error);
    assertEquals(error?.code, isUsed ? undefined : "image-not-created", error?.message);
    await lab.destination.undo();
    assertEquals((await lab.files()).map((line) => line.split(" ")[0]), ["images"]);
  }
});
