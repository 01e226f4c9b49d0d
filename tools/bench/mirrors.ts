/**
 * NBD mirrors between two qemu-storage-daemons: what a migration does to a tunnel, without guests.
 *
 * @module
 */
import { poll } from "../../tests/scenarios/support/waiting.ts";
import { QmpClient } from "../../src/qmp/mod.ts";

export interface MirrorBenchOptions {
  /** For sockets. */
  readonly dir: string;
  /** Images with the data, on tmpfs. */
  readonly images: readonly string[];
  /** Size of each image, bytes. */
  readonly bytes: number;
}

/** A daemon that mirrors from images, and one that offers as many null targets over NBD. */
export class MirrorBench implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #source: QmpClient;
  readonly #images: number;
  readonly #bytes: number;
  /** Where the target's NBD server listens. */
  readonly targetSocket: string;
  #run = 0;

  static async start(options: MirrorBenchOptions): Promise<MirrorBench> {
    const { dir, images, bytes } = options;
    const stack = new AsyncDisposableStack();
    const targetSocket = `${dir}/target.sock`;
    const nulls = images.flatMap((_, i) => [
      ...["--blockdev", `null-co,node-name=t${i},size=${bytes},read-zeroes=on`],
      ...["--export", `nbd,id=t${i},node-name=t${i},name=t${i},writable=on`],
    ]);
    await daemon(stack, dir, "target", [
      ...["--nbd-server", `addr.type=unix,addr.path=${targetSocket},max-connections=0`],
      ...nulls,
    ]);
    const files = images.flatMap((path, i) => [
      "--blockdev",
      `driver=raw,node-name=s${i},file.driver=file,file.filename=${path}`,
    ]);
    const source = await daemon(stack, dir, "source", files);
    return new MirrorBench(stack, source, options, targetSocket);
  }

  private constructor(
    stack: AsyncDisposableStack,
    source: QmpClient,
    options: MirrorBenchOptions,
    targetSocket: string,
  ) {
    this.#stack = stack;
    this.#source = source;
    this.#images = options.images.length;
    this.#bytes = options.bytes;
    this.targetSocket = targetSocket;
  }

  /**
   * Mirrors every image through the socket at `path`.
   *
   * @returns MB (10^6 bytes) per second, all together.
   */
  async run(path: string): Promise<number> {
    const id = this.#run++;
    const nodes = Array.from({ length: this.#images }, (_, i) => `n${id}-${i}`);
    for (const [i, node] of nodes.entries()) {
      await this.#source.executeUntyped("blockdev-add", {
        ...{ driver: "nbd", "node-name": node, server: { type: "unix", path }, export: `t${i}` },
      });
    }
    const start = performance.now();
    for (const [i, node] of nodes.entries()) {
      await this.#source.executeUntyped("blockdev-mirror", {
        ...{ "job-id": node, device: `s${i}`, target: node, sync: "full", "auto-dismiss": false },
      });
    }
    await poll(
      "the mirrors to be ready",
      async () => {
        const jobs = await this.#jobs();
        const failed = jobs.find((job) => job.error !== undefined);
        if (failed) throw new Error(`Mirror ${failed.id}: ${failed.error}`);
        return jobs.every((job) => job.status === "ready") ? true : undefined;
      },
      120_000,
      5,
    );
    const seconds = (performance.now() - start) / 1000;
    for (const device of nodes) {
      await this.#source.executeUntyped("block-job-cancel", { device, force: true });
    }
    await poll("the mirrors to end", async () => {
      return (await this.#jobs()).every((job) => job.status === "concluded") ? true : undefined;
    });
    for (const node of nodes) {
      await this.#source.executeUntyped("job-dismiss", { id: node });
      await this.#source.executeUntyped("blockdev-del", { "node-name": node });
    }
    return this.#bytes * this.#images / 1e6 / seconds;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #jobs(): Promise<{ id: string; status: string; error?: string }[]> {
    return await this.#source.executeUntyped("query-jobs") as never;
  }
}

async function daemon(
  stack: AsyncDisposableStack,
  dir: string,
  name: string,
  args: readonly string[],
): Promise<QmpClient> {
  const path = `${dir}/${name}.qmp`;
  const listener = Deno.listen({ transport: "unix", path });
  const child = new Deno.Command("qemu-storage-daemon", {
    args: [
      ...["--chardev", `socket,path=${path},id=qmp`, "--monitor", "qmp"],
      ...args,
    ],
    stdin: "null",
  }).spawn();
  stack.defer(async () => {
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await child.status;
  });
  const conn = await listener.accept();
  listener.close();
  const client = await QmpClient.open(conn);
  stack.defer(() => client.close());
  return client;
}
