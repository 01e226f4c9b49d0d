/**
 * The packed kind of `dist/vmferry`: a shell script with a Deno and the program behind it.
 *
 * @module
 */
import { encodeHex } from "@std/encoding/hex";
import { project, run } from "./run.ts";

export interface PackOptions {
  /** The Deno that is to run the program; one of another architecture will do. */
  readonly runtime: string;
  /** The program as one JavaScript file. */
  readonly bundle: string;
  /** Flags of `deno run`. */
  readonly flags: readonly string[];
  readonly output: string;
}

/** Writes `output`. The same Deno and the same bundle make the same bytes. */
export async function pack({ runtime, bundle, flags, output }: PackOptions): Promise<void> {
  const work = await Deno.makeTempDir({ dir: project("dist"), prefix: "pack-" });
  try {
    await Deno.copyFile(runtime, `${work}/deno`);
    await Deno.copyFile(bundle, `${work}/vmferry.js`);
    await Deno.chmod(`${work}/deno`, 0o755);
    await Deno.chmod(`${work}/vmferry.js`, 0o644);
    await run("sh", ["-c", TAR], { cwd: work });
    const archive = await Deno.readFile(`${work}/archive`);
    const stub = await Deno.readTextFile(project("tools/stub.sh"));
    const digest = await crypto.subtle.digest("SHA-256", archive);
    const id = encodeHex(new Uint8Array(digest)).slice(0, 32);
    const filled = stub.replaceAll("@ID@", id).replaceAll("@FLAGS@", flags.join(" "));
    // The number of the line after the stub's last one; the archive begins there.
    const header = filled.replaceAll("@LINE@", String(filled.split("\n").length));
    await Deno.writeTextFile(`${work}/packed`, header, { mode: 0o755 });
    await Deno.writeFile(`${work}/packed`, archive, { append: true });
    await Deno.rename(`${work}/packed`, output);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Nothing of the time or the user who builds gets into it. */
const TAR = "tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner " +
  "-cf - deno vmferry.js | gzip -n -6 >archive";
