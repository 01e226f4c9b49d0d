import { assert, assertEquals, assertRejects } from "@std/assert";
import { findMigrations } from "../../src/cli/control/client.ts";
import { findJournals } from "../../src/cli/run/journal_file.ts";
import { runBase } from "../../src/cli/run/base.ts";
import { PrivateRunDir } from "../../src/cli/run/run_dir.ts";
import { readSecret } from "../../src/cli/endpoint/secret.ts";
import { giveTo, ownerFrom } from "../../src/cli/run/socket_owner.ts";
import { readPrivate } from "../../src/cli/endpoint/private_file.ts";
import { readCredentials } from "../../src/transport/tls/credentials.ts";
import { UsageError } from "../../src/cli/args/usage_error.ts";
import { listenUnix } from "../../src/transport/mod.ts";
import { inDirectory } from "../support/in_directory.ts";

/** A user that is neither root nor the one who runs this. */
const SOMEBODY = { uid: 12345, gid: 12345 };

Deno.test("a secret file must be private, and its trailing newline is removed", async () => {
  await inDirectory(async (dir) => {
    const path = `${dir}/secret`;
    await Deno.writeTextFile(path, "0123456789abcdef\r\n", { mode: 0o600 });
    assertEquals(new TextDecoder().decode(await readSecret(path)), "0123456789abcdef");
    for (const mode of [0o640, 0o604, 0o660]) {
      await Deno.chmod(path, mode);
      const error = await assertRejects(() => readSecret(path), UsageError, "chmod 600");
      assert(!error.message.includes("0123456789abcdef"));
    }
  });
});

Deno.test("a secret that is too short, too long, missing or no file is refused without being shown", async () => {
  await inDirectory(async (dir) => {
    const path = `${dir}/secret`;
    await Deno.writeTextFile(path, "0123456789abcde\n", { mode: 0o600 });
    await assertRejects(() => readSecret(path), UsageError, "holds 15 bytes, expected 16 to 4096");
    await Deno.writeFile(path, new Uint8Array(4096).fill(65));
    assertEquals((await readSecret(path)).length, 4096);
    await Deno.writeFile(path, new Uint8Array(4097).fill(65));
    await assertRejects(() => readSecret(path), UsageError, "more than 4096 bytes");
    await assertRejects(() => readSecret(`${dir}/none`), UsageError, "No such file");
    await assertRejects(() => readSecret(dir), UsageError, "regular file");
  });
});

Deno.test("a run directory is its owner's alone and leaves nothing, not even a base it made", async () => {
  await inDirectory(async (dir) => {
    const run = await PrivateRunDir.make(`${dir}/base`, "source");
    const directory = run.path("x").slice(0, -2);
    assertEquals((await Deno.stat(directory)).mode! & 0o777, 0o700);
    await Deno.writeTextFile(run.path("left"), "over");
    await run[Symbol.asyncDispose]();
    assertEquals([...Deno.readDirSync(dir)], []);
  });
});

Deno.test("the default base goes with the last of its runs, whichever made it, and no other base does", async () => {
  await inDirectory(async (dir) => {
    const { uid } = Deno;
    const before = Deno.env.get("XDG_RUNTIME_DIR");
    Deno.uid = () => SOMEBODY.uid;
    await Deno.chown(dir, SOMEBODY.uid, SOMEBODY.gid);
    Deno.env.set("XDG_RUNTIME_DIR", dir);
    const base = `${dir}/vmferry`;
    const isThere = () => Deno.stat(base).then(() => true, () => false);
    /** Two runs, of which the first ends first. */
    const twoRuns = async (given?: string) => {
      const one = await PrivateRunDir.make(given, "source");
      {
        await using _two = await PrivateRunDir.make(given, "source");
        await one[Symbol.asyncDispose]();
        assert(await isThere());
      }
      return await isThere();
    };
    try {
      assertEquals(await twoRuns(), false);
      // As an administrator makes one, to give it a label.
      await Deno.mkdir(base, { mode: 0o755 });
      await Deno.chmod(base, 0o755);
      assertEquals(await twoRuns(), true);
    } finally {
      Deno.uid = uid;
      if (before === undefined) Deno.env.delete("XDG_RUNTIME_DIR");
      else Deno.env.set("XDG_RUNTIME_DIR", before);
    }
    await Deno.chown(dir, 0, 0);
    await Deno.chmod(base, 0o700);
    assertEquals(await twoRuns(base), true);
  });
});

Deno.test("root's runs are in one place however root came, other users' in their own", async () => {
  await inDirectory(async (dir) => {
    const { uid } = Deno;
    const before = Deno.env.get("XDG_RUNTIME_DIR");
    const bases = (user: number) => {
      Deno.uid = () => user;
      return ["", dir, "/none"].map((path) => {
        Deno.env.set("XDG_RUNTIME_DIR", path);
        return runBase(undefined);
      });
    };
    const inRun = "/run/vmferry";
    try {
      await Deno.chown(dir, 0, 0);
      assertEquals(bases(0), [inRun, inRun, inRun]);
      const inTmp = `/tmp/vmferry-run-${SOMEBODY.uid}`;
      assertEquals(bases(SOMEBODY.uid), [inTmp, inTmp, inTmp], "it is root's");
      await Deno.chown(dir, SOMEBODY.uid, SOMEBODY.gid);
      assertEquals(bases(SOMEBODY.uid), [inTmp, `${dir}/vmferry`, inTmp]);
      assertEquals(runBase("/x"), "/x");
    } finally {
      Deno.uid = uid;
      if (before === undefined) Deno.env.delete("XDG_RUNTIME_DIR");
      else Deno.env.set("XDG_RUNTIME_DIR", before);
    }
  });
});

Deno.test("a run directory whose sockets would have no name left is refused", async () => {
  const long = `/tmp/${"x".repeat(80)}`;
  await assertRejects(() => PrivateRunDir.make(long, "source"), UsageError, "107 bytes at most");
  for (const where of ["/proc/none/x", "/dev/shm", "/dev/shm/x"]) {
    await assertRejects(
      () => PrivateRunDir.make(where, "source"),
      UsageError,
      "can't make a directory",
    );
  }
});

Deno.test("a run directory that can't be one is refused before anything is looked for in it", async () => {
  await inDirectory(async (dir) => {
    await Deno.writeTextFile(`${dir}/file`, "");
    const file = `--run-dir: got "${dir}/file", which is no directory; expected a directory`;
    await assertRejects(() => findJournals(`${dir}/file`), UsageError, file);
    await assertRejects(() => findMigrations(`${dir}/file`), UsageError, file);
    const kernels =
      '--run-dir: got "/dev/shm", where vmferry can\'t make a directory for its files';
    await assertRejects(() => findJournals("/dev/shm"), UsageError, kernels);
    await assertRejects(
      () => findJournals(`${dir}/${"x".repeat(300)}`),
      UsageError,
      "--run-dir: can't look into",
    );
  });
});

Deno.test("every socket path fits in the longest accepted run directory", async () => {
  await inDirectory(async (dir) => {
    const base = (length: number) => `${dir}/${"x".repeat(length)}`;
    let length = 100;
    const make = () => PrivateRunDir.make(base(length), "source").catch(() => undefined);
    let run = await make();
    for (; !run && length > 0; run = await make()) length--;
    await using longest = run!;
    (await listenUnix(longest.own("control.sock"))).close();
  });
});

Deno.test("a run base that another user could replace is refused", async () => {
  await inDirectory(async (dir) => {
    const base = `${dir}/base`;
    await Deno.mkdir(base);
    for (
      const [mode, what] of [[0o777, "other users can write to it"], [0o775, "mode 0775"]] as const
    ) {
      await Deno.chmod(base, mode);
      await assertRejects(() => PrivateRunDir.make(base, "source"), UsageError, what);
      await assertRejects(() => findJournals(base), UsageError, what);
    }
    // As /tmp is: nobody can touch there what is another's.
    await Deno.chmod(base, 0o1777);
    await (await PrivateRunDir.make(base, "source"))[Symbol.asyncDispose]();
    await Deno.chown(base, SOMEBODY.uid, SOMEBODY.gid);
    await Deno.chmod(base, 0o700);
    await assertRejects(() => findJournals(base), UsageError, "another user (12345)");
    await Deno.chown(base, 0, 0);
    await Deno.chown(dir, SOMEBODY.uid, SOMEBODY.gid);
    await assertRejects(() => findJournals(base), UsageError, "another user (12345)");
  });
});

Deno.test("a journal that another user has planted, or can't be read, counts for nothing", async () => {
  await inDirectory(async (dir) => {
    await Deno.chmod(dir, 0o1777);
    const planted = `${dir}/run-planted`;
    await Deno.mkdir(planted);
    await Deno.writeTextFile(`${planted}/journal`, "no journal at all\n[]\n");
    await Deno.chown(planted, SOMEBODY.uid, SOMEBODY.gid);
    await Deno.symlink(planted, `${dir}/run-linked`);
    assertEquals(await findJournals(dir), []);
    await Deno.chown(planted, 0, 0);
    await assertRejects(() => findJournals(dir), Error, "no journal that this version understands");
  });
});

Deno.test("a run base that another user creates first is refused", async () => {
  await inDirectory(async (dir) => {
    await Deno.chmod(dir, 0o1777);
    const base = `${dir}/base`;
    const { mkdir } = Deno;
    Deno.mkdir = async (path, options) => {
      await mkdir(path);
      await Deno.chown(path, SOMEBODY.uid, SOMEBODY.gid);
      await mkdir(path, options);
    };
    try {
      await assertRejects(() => PrivateRunDir.make(base, "source"), UsageError, "another user");
    } finally {
      Deno.mkdir = mkdir;
    }
    assertEquals([...Deno.readDirSync(base)], []);
  });
});

Deno.test("another user finds no runs in root's base", async () => {
  await inDirectory(async (dir) => {
    await Deno.chmod(dir, 0o1777);
    await Deno.mkdir(`${dir}/run-roots`);
    await Deno.writeTextFile(`${dir}/run-roots/journal`, "not to be read\n[]\n");
    const { uid } = Deno;
    Deno.uid = () => SOMEBODY.uid;
    try {
      assertEquals(await findJournals(dir), []);
    } finally {
      Deno.uid = uid;
    }
  });
});

Deno.test("a run directory of root's that is closed to others says how they choose another", async () => {
  await inDirectory(async (dir) => {
    const { uid, readDir } = Deno;
    Deno.uid = () => SOMEBODY.uid;
    Deno.readDir = () => {
      throw new Deno.errors.PermissionDenied("Permission denied (os error 13)");
    };
    try {
      const told =
        `--run-dir: got "${dir}", which is another user's (0) and closed to you; expected a ` +
        "directory of yours: --run-dir DIR or XDG_RUNTIME_DIR chooses another";
      await assertRejects(() => findJournals(dir), UsageError, told);
      await assertRejects(() => findMigrations(dir), UsageError, told);
    } finally {
      Object.assign(Deno, { uid, readDir });
    }
  });
});

Deno.test("what is given away is the socket's place itself, not what somebody made it lead to", async () => {
  await inDirectory(async (dir) => {
    await Deno.writeTextFile(`${dir}/shadow`, "");
    await Deno.symlink(`${dir}/shadow`, `${dir}/nbd.sock`);
    await giveTo(`${dir}/nbd.sock`, SOMEBODY);
    assertEquals((await Deno.stat(`${dir}/shadow`)).uid, 0);
    assertEquals((await Deno.lstat(`${dir}/nbd.sock`)).uid, SOMEBODY.uid);
  });
});

Deno.test("a secret of another user is refused, and so is a CA that others can write", async () => {
  await inDirectory(async (dir) => {
    const path = `${dir}/secret`;
    await Deno.writeTextFile(path, "0123456789abcdef", { mode: 0o600 });
    await Deno.chown(path, SOMEBODY.uid, SOMEBODY.gid);
    await assertRejects(() => readSecret(path), UsageError, "another user's (12345)");
    const authority = `${dir}/ca-cert.pem`;
    await Deno.writeTextFile(authority, "-----BEGIN CERTIFICATE-----");
    await Deno.chmod(authority, 0o664);
    await assertRejects(
      () => readCredentials(dir, "server", readPrivate),
      UsageError,
      "chmod go-w",
    );
    await Deno.chmod(authority, 0o644);
    await assertRejects(
      () => readCredentials(dir, "server", readPrivate),
      UsageError,
      "server-cert.pem",
    );
  });
});

Deno.test("a user and a group of this host are found, an unknown one is refused", async () => {
  const owner = (socketOwner: string) => ownerFrom({ socketOwner });
  assertEquals(await owner("root"), { uid: 0, gid: 0 });
  assertEquals(await owner("0"), { uid: 0, gid: 0 });
  assertEquals((await owner("root:tty"))?.gid, 5);
  for (const wrong of ["nobody-here", "-u", "root:no-such-group", "$(id)", "987654"]) {
    await assertRejects(() => owner(wrong), UsageError, "--socket-owner");
  }
  assertEquals(await ownerFrom({ socketOwner: undefined }), undefined);
});
