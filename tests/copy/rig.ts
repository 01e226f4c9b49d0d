import { assertEquals } from "@std/assert";
import type { ProgramResult } from "../../src/host/mod.ts";
import type { CopyHost } from "../../src/copy/mod.ts";
import { ArrivingImage } from "../../src/copy/destination/arriving_image.ts";
import { lookAtTargets } from "../../src/copy/destination/look.ts";
import { runProgram } from "../../src/cli/host/run_program.ts";
import type { CopyImage } from "../../src/rpc/mod.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { fakeCopyHost } from "./fake_host.ts";

const MiB = 1 << 20;
const signal = new AbortController().signal;

/** A directory with an image `a.img`; qemu-nbd is not run. */
export class Rig implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync();
  readonly path = `${this.dir}/a.img`;
  readonly partial = `${this.dir}/.a.img.vmferry-copy`;
  readonly host: CopyHost = fakeCopyHost({
    run: async (argv, options) => {
      const found = await runProgram(["sh", "-c", 'command -v "$0"', argv[0]!], options);
      if (found.code !== 0) throw new Error(`no ${argv[0]}`);
      // As on a file system whose files cannot share blocks.
      const result = await this.onRun(argv);
      if (result) return result;
      if (argv.includes("--reflink=always")) return { code: 1, stdout: "", stderr: "no" };
      return await runProgram(argv, options);
    },
    startTied: () => ({
      ended: new Promise<never>(() => {}),
      stop: () => Promise.resolve({ code: 0, stdout: "", stderr: "" }),
    }),
    connectUnix: () => Promise.resolve(memoryPipe()[0]),
  });

  /** Called before each program, which is not run where this has a result. */
  onRun: (argv: readonly string[]) => ProgramResult | undefined = () => undefined;

  constructor() {
    Deno.writeTextFileSync(this.path, "old");
    Deno.truncateSync(this.path, MiB);
  }

  get image(): CopyImage {
    return {
      ...{ channel: "image-0", path: this.path, format: "raw", sizeBytes: MiB },
      ...{ clusterBytes: null, compat: null, extendedL2: false, lazyRefcounts: false },
      ...{ mode: 0o600, owner: null, dataBytes: 0, identity: "source 1" },
      ...{ reuse: true, delta: true },
    };
  }

  async begin(image: Partial<CopyImage> = {}, resume = false): Promise<ArrivingImage> {
    const wanted = { ...this.image, ...image };
    const { targets, problems } = await lookAtTargets(this.host, "login", [wanted], resume);
    assertEquals(problems, []);
    return await ArrivingImage.begin(this.host, targets[0]!, "image-0", signal);
  }

  get files(): string[] {
    return [...Deno.readDirSync(this.dir)].map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}
