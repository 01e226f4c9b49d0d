import { assert, assertRejects } from "@std/assert";
import { UsageError } from "../../src/cli/args/usage_error.ts";
import { checkDirectory } from "../../src/cli/run/trusted_dir.ts";
import { inDirectory } from "../support/in_directory.ts";

/** A user that is neither root nor the one who runs this. */
const SOMEBODY = 12345;

/** `inDirectory` with `base`, two directories down. */
const withBase = (work: (top: string, base: string) => Promise<void>) =>
  inDirectory(async (top) => {
    const base = `${top}/middle/base`;
    await Deno.mkdir(base, { recursive: true, mode: 0o755 });
    await work(top, base);
  });

const refuses = (path: string, word: string) =>
  assertRejects(() => checkDirectory(path, "--run-dir"), UsageError, word);

Deno.test("a directory passes when each of its parents is closed to others or sticky", async () => {
  await withBase(async (top, base) => {
    await checkDirectory(base, "--run-dir");
    await checkDirectory(`${base}/new/one`, "--run-dir");
    await Deno.chmod(`${top}/middle`, 0o1777);
    await checkDirectory(base, "--run-dir");
  });
});

Deno.test("a directory is refused when others can write to any of its parents", async () => {
  await withBase(async (top, base) => {
    for (const mode of [0o775, 0o757]) {
      await Deno.chmod(top, mode);
      await refuses(base, `${top} has mode 0${mode.toString(8)}`);
      await refuses(`${base}/new`, `${top} has mode`);
    }
  });
});

Deno.test("a directory is refused when any of its parents belongs to another user", async () => {
  await withBase(async (top, base) => {
    await Deno.chown(`${top}/middle`, SOMEBODY, SOMEBODY);
    await refuses(base, `${top}/middle belongs to another user (${SOMEBODY})`);
  });
});

Deno.test("symbolic links are followed, and what they lead through is checked too", async () => {
  await withBase(async (top, base) => {
    await Deno.mkdir(`${top}/open`);
    await Deno.symlink(base, `${top}/open/link`);
    await Deno.symlink("open/link/../base", `${top}/link`);
    await checkDirectory(`${top}/link`, "--run-dir");
    // A directory that only holds a symbolic link on the way counts too.
    await Deno.chmod(`${top}/open`, 0o777);
    await refuses(`${top}/link`, `${top}/open has mode 0777`);
    await Deno.chmod(`${top}/open`, 0o755);
    await Deno.chmod(`${top}/middle`, 0o777);
    await refuses(`${top}/link`, `${top}/middle has mode 0777`);
  });
});

Deno.test("another user's link in a sticky directory is refused", async () => {
  await withBase(async (top, base) => {
    await Deno.chmod(top, 0o1777);
    await Deno.symlink(base, `${top}/link`);
    await checkDirectory(`${top}/link`, "--run-dir");
    const { code } = await new Deno.Command("chown", { args: ["-h", `${SOMEBODY}`, `${top}/link`] })
      .output();
    assert(code === 0);
    await refuses(`${top}/link`, "is a link of another user");
  });
});

Deno.test("links that lead to each other end the check", async () => {
  await withBase(async (top) => {
    await Deno.symlink(`${top}/b`, `${top}/a`);
    await Deno.symlink(`${top}/a`, `${top}/b`);
    await checkDirectory(`${top}/a`, "--run-dir");
  });
});
