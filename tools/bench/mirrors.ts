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
  /** File with the data, on tmpfs; it is cut into as many disks as there are mirrors. */
  readonly image: string;
  /** Its size, bytes. */
  readonly bytes: number;
  /** How many mirrors there can be at a time: each number divides `bytes` into multiples of 64 KiB. */
  readonly counts: readonly number[];
  /** The storage daemon; `undefined`: the one on the PATH. */
  readonly program?: string;
}

/** A daemon that mirrors from the image, and one that offers null targets over NBD. */
export class MirrorBench implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #source: QmpClient;
  readonly #bytes: number;
  /** Where the target's NBD server listens. */
  readonly targetSocket: string;
  /** The two daemons. */
  readonly pids: readonly number[];
  #run = 0;

  static async start(options: MirrorBenchOptions): Promise<MirrorBench> {
    const { dir, image, bytes } = options;
    const stack = new AsyncDisposableStack();
    const targetSocket = `${dir}/target.sock`;
    const slices = options.counts.flatMap((count) =>
      Array.from({ length: count }, (_, i) => ({ name: `${count}-${i}`, size: bytes / count, i }))
    );
    const start = (name: string, args: readonly string[]) =>
      daemon(stack, options.program ?? "qemu-storage-daemon", dir, name, args);
    const target = await start("target", [
      ...["--nbd-server", `addr.type=unix,addr.path=${targetSocket},max-connections=0`],
      ...slices.flatMap(({ name, size }) => [
        ...["--blockdev", `null-co,node-name=t${name},size=${size},read-zeroes=on`],
        ...["--export", `nbd,id=t${name},node-name=t${name},name=t${name},writable=on`],
      ]),
    ]);
    const source = await start("source", [
      ...["--blockdev", `driver=file,node-name=image,filename=${image},read-only=on`],
      ...slices.flatMap(({ name, size, i }) => [
        "--blockdev",
        `driver=raw,node-name=s${name},file=image,offset=${i * size},size=${size},read-only=on`,
      ]),
    ]);
    return new MirrorBench(stack, source.client, [source.pid, target.pid], bytes, targetSocket);
  }

  private constructor(
    stack: AsyncDisposableStack,
    source: QmpClient,
    pids: readonly number[],
    bytes: number,
    targetSocket: string,
  ) {
    this.#stack = stack;
    this.#source = source;
    this.pids = pids;
    this.#bytes = bytes;
    this.targetSocket = targetSocket;
  }

  /**
   * Mirrors the image in `count` parts at a time through the socket at `path`, once or over and over.
   *
   * @param whenDone is called when all is there and the connections are still open.
   * @param bufferBytes what each mirror may have under way; `undefined`: as QEMU does by itself.
   * @returns seconds from the start of the first mirror until all were ready.
   */
  async run(
    path: string,
    count: number,
    whenDone: () => void | Promise<void> = () => {},
    bufferBytes?: number,
  ): Promise<number> {
    const id = this.#run++;
    const nodes = Array.from({ length: count }, (_, i) => `n${id}-${i}`);
    for (const [i, node] of nodes.entries()) {
      await this.#source.executeUntyped("blockdev-add", {
        ...{ driver: "nbd", "node-name": node, server: { type: "unix", path } },
        export: `t${count}-${i}`,
      });
    }
    const start = performance.now();
    for (const [i, node] of nodes.entries()) {
      await this.#source.executeUntyped("blockdev-mirror", {
        ...{ "job-id": node, device: `s${count}-${i}`, target: node, sync: "full" },
        "auto-dismiss": false,
        ...(bufferBytes === undefined ? {} : { "buf-size": bufferBytes }),
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
      240_000,
      5,
    );
    const seconds = (performance.now() - start) / 1000;
    await whenDone();
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
    return seconds;
  }

  /** Bytes that one run moves. */
  get bytes(): number {
    return this.#bytes;
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
  program: string,
  dir: string,
  name: string,
  args: readonly string[],
): Promise<{ readonly client: QmpClient; readonly pid: number }> {
  const path = `${dir}/${name}.qmp`;
  const listener = Deno.listen({ transport: "unix", path });
  const child = new Deno.Command(program, {
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
  return { client, pid: child.pid };
}
