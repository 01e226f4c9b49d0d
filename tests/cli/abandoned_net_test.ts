import { assert, assertEquals } from "@std/assert";
import { removeAbandoned } from "../../src/cli/run/abandoned.ts";
import {
  DOMAIN_DESTINATION_JOURNAL,
  DOMAIN_SOURCE_JOURNAL,
  JOURNAL,
} from "../../src/cli/run/journal_file.ts";
import { PrivateRunDir } from "../../src/cli/run/run_dir.ts";
import { silentLogger } from "../../src/io/mod.ts";
import { WaitingQemu } from "../support/fake_destination.ts";
import { inDirectory } from "../support/in_directory.ts";
import { MAIN, vmferry } from "../support/program.ts";

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

/** A directory for runs, with the socket of a QEMU that waits for a guest. */
async function withQemu(work: (base: string, qmp: string) => Promise<void>): Promise<void> {
  await inDirectory(async (dir) => {
    await Deno.mkdir(`${dir}/runs`, { mode: 0o700 });
    const listener = Deno.listen({ transport: "unix", path: `${dir}/qmp` });
    const qemus: WaitingQemu[] = [];
    const serving = (async () => {
      for await (const conn of listener) qemus.push(new WaitingQemu(conn));
    })().catch(() => {});
    try {
      await work(`${dir}/runs`, `${dir}/qmp`);
    } finally {
      listener.close();
      await serving;
      for (const { fake } of qemus) fake.close();
    }
  });
}

/** Starts a `receive` and waits until it listens. */
async function startReceive(base: string, qmp: string): Promise<Deno.ChildProcess> {
  const listen = ["--listen", "tcp://127.0.0.1:0"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "receive", "--qmp", qmp, "--run-dir", base, ...listen, "--quiet"],
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  for (let said = ""; !said.includes("listening on");) {
    const { value, done } = await reader.read();
    assert(!done, said);
    said += value;
  }
  await reader.cancel();
  return child;
}

/** The directories of runs that are in a base once a `receive` that waited there was killed. */
async function killedReceive(base: string, qmp: string): Promise<string[]> {
  const child = await startReceive(base, qmp);
  child.kill("SIGKILL");
  await child.status;
  return runsIn(base);
}

const runsIn = (base: string) => namesIn(base).filter((name) => name.startsWith("run-"));

Deno.test("recover --yes removes the directory of a killed receive that had no source, plain recover does not", async () => {
  await withQemu(async (base, qmp) => {
    assertEquals((await killedReceive(base, qmp)).length, 1);
    const recover = ["recover", "--qmp", qmp, "--run-dir", base];
    assertEquals((await vmferry(recover)).code, 0);
    assertEquals(runsIn(base).length, 1);
    assertEquals((await vmferry([...recover, "--yes"])).code, 0);
    assertEquals(runsIn(base), []);
  });
});

Deno.test("the next run removes an abandoned directory and no directory that is in use", async () => {
  await withQemu(async (base, qmp) => {
    const [killed] = await killedReceive(base, qmp);
    const children = [await startReceive(base, qmp)];
    const [first] = runsIn(base);
    assert(first !== killed && runsIn(base).length === 1);
    children.push(await startReceive(base, qmp));
    assertEquals(runsIn(base).length, 2);
    assert(runsIn(base).includes(first!));
    for (const child of children) {
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 5);
    }
    assertEquals(runsIn(base), []);
  });
});

Deno.test("a run whose directory is taken for a left one before it holds it makes another", async () => {
  await inDirectory(async (dir) => {
    const { mkdir } = Deno;
    let taken = "";
    Deno.mkdir = async (path, options) => {
      await mkdir(path, options);
      if (taken !== "" || !String(path).includes("/run-")) return;
      taken = String(path);
      await removeAbandoned(dir, silentLogger);
      assertEquals(namesIn(dir), []);
    };
    try {
      await using run = await PrivateRunDir.make(dir, "source");
      await removeAbandoned(dir, silentLogger);
      assertEquals(namesIn(dir), [run.directory.slice(dir.length + 1)]);
      assert(run.directory !== taken);
    } finally {
      Deno.mkdir = mkdir;
    }
  });
});

Deno.test("a run that gets hold of its directory only when it was removed makes another", async () => {
  await inDirectory(async (dir) => {
    const { lock } = Deno.FsFile.prototype;
    Deno.FsFile.prototype.lock = async function (exclusive) {
      Deno.FsFile.prototype.lock = lock;
      await removeAbandoned(dir, silentLogger);
      assertEquals(namesIn(dir), []);
      await this.lock(exclusive);
    };
    try {
      await using run = await PrivateRunDir.make(dir, "source");
      assertEquals(namesIn(dir), [run.directory.slice(dir.length + 1)]);
    } finally {
      Deno.FsFile.prototype.lock = lock;
    }
  });
});

Deno.test("a directory with a journal or a foreign file is not removed", async () => {
  await inDirectory(async (dir) => {
    const make = async (name: string, file: string, text: string) => {
      await Deno.mkdir(`${dir}/${name}`);
      await Deno.writeTextFile(`${dir}/${name}/${file}`, text);
    };
    await make("run-00000001", "journal", '{"format":1}\n');
    await make("run-00000003", "notes", "");
    await make("run-ning", "journal", "");
    await Deno.mkdir(`${dir}/run-00000004/qemu`, { recursive: true });
    await Deno.writeTextFile(`${dir}/run-00000004/qemu/disk.img`, "");
    // As a run has it that began with a version that holds no directory.
    await make("run-00000005", "journal", "");
    using _listener = Deno.listen({
      ...{ transport: "unix", path: `${dir}/run-00000005/control.sock` },
    });
    const before = namesIn(dir);
    await make("run-00000006", "journal", "");
    await make("run-00000002", "journal", '{"form');
    await Deno.mkdir(`${dir}/run-0000000000000007`);
    await removeAbandoned(dir, silentLogger);
    assertEquals(namesIn(dir), before);
  });
});

Deno.test("a run whose journal has no whole line is abandoned, whatever kind of migration it was for", async () => {
  await inDirectory(async (base) => {
    const journals = [JOURNAL, DOMAIN_SOURCE_JOURNAL, DOMAIN_DESTINATION_JOURNAL];
    for (const [i, name] of journals.entries()) {
      for (const [text, digit] of [["", 0], ['{"version":1', 1], ['{"version":1}\n', 2]] as const) {
        const run = `${base}/run-${i}${digit}000000`;
        await Deno.mkdir(run, { mode: 0o700 });
        await Deno.writeTextFile(`${run}/${name}`, text);
      }
    }
    await removeAbandoned(base, silentLogger);
    assertEquals(runsIn(base), ["run-02000000", "run-12000000", "run-22000000"]);
  });
});
