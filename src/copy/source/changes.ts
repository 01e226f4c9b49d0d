import { command } from "../../host/mod.ts";
import { MigrationError } from "../../migrate/mod.ts";
import type { CopyHost } from "../host.ts";
import type { SourceImage } from "./describe.ts";

/** How long the look at the files may take, ms. */
const LOOK_MS = 20_000;

/** Prints size and time of the last write of each file, a line each: of a device nobody knows when it was written to. */
const LOOK = `
for f do
  if [ -f "$f" ]; then stat -L -c '%d %i %s %y' -- "$f"; else echo -; fi
done
`;

/** What {@link SourceChanges} needs of an image. */
type Watched = Pick<SourceImage, "path" | "files">;

/**
 * Finds out whether somebody has written to the images while they were copied: QEMU's lock keeps out only programs
 * that look at it.
 */
export class SourceChanges {
  readonly #host: CopyHost;
  readonly #images: readonly Watched[];
  readonly #before: readonly string[];

  /** Looks at the images, before anything of them is read. */
  static async watch(host: CopyHost, images: readonly Watched[]): Promise<SourceChanges> {
    return new SourceChanges(host, images, await lookAtFiles(host, images));
  }

  private constructor(host: CopyHost, images: readonly Watched[], before: readonly string[]) {
    this.#host = host;
    this.#images = images;
    this.#before = before;
  }

  /** @throws {MigrationError} code `image-changed`: what has arrived is a mixture. */
  async requireNone(): Promise<void> {
    const now = await lookAtFiles(this.#host, this.#images);
    const changed = this.#images.filter((_, i) => now[i] !== this.#before[i]);
    if (changed.length === 0) return;
    const message = `${changed.map(({ path }) => path).join(", ")}: a program has written to it ` +
      "while it was copied. End that program, and copy again";
    throw new MigrationError("failed", "image-changed", "source", message);
  }
}

/** An item for each image. */
async function lookAtFiles({ run }: CopyHost, images: readonly Watched[]): Promise<string[]> {
  const files = images.flatMap((image) => image.files);
  const lines = (await command(run, ["sh", "-c", LOOK, "sh", ...files], LOOK_MS)).split("\n");
  let at = 0;
  return images.map(({ files }) => lines.slice(at, at += files.length).join("\n"));
}
