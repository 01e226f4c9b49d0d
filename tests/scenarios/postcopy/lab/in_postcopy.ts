import type { Acceptor } from "../../../../src/io/mod.ts";
import { silentLogger, systemClock } from "../../../../src/io/mod.ts";
import { takeBack } from "../../../../src/migrate/postcopy/take_back.ts";
import { QmpClient } from "../../../../src/qmp/mod.ts";
import { connectUnix, listenUnix } from "../../../../src/transport/mod.ts";
import { GUEST_STATE } from "../../guest/mod.ts";
import { MiB } from "../../pair/pair_options.ts";
import type { Pair } from "../../pair/pair.ts";
import type { Qemu } from "../../support/qemu.ts";
import type { ScenarioContext } from "../../support/scenario.ts";
import { poll } from "../../support/waiting.ts";
import { UnixRelay } from "./unix_relay.ts";

/** How far a post-copy gets. */
export type Reached =
  /** The destination has loaded the device state; its guest is paused. */
  | "loaded"
  /** The device state is on its way and does not arrive. */
  | "package";

const OVER = ["completed", "failed"];
/** Post-copy must not be over before it is cut: 128 MiB take 6 s. */
const BYTES_PER_SECOND = 20 * MiB;
/** QEMU's. */
const DEFAULT_BANDWIDTH = 128 * MiB;

/** A pair whose guest leaves by post-copy, by QMP alone, and returns. */
export class InPostcopy {
  readonly #context: ScenarioContext;
  readonly #pair: Pair;
  #round = 0;
  /** One for all: QEMU 11.1 may give a new client the answer to the last command of the one before. */
  #qmp: QmpClient | undefined;
  /** Longest take-back, ms. */
  longestMs = 0;

  constructor(context: ScenarioContext, pair: Pair) {
    this.#context = context;
    this.#pair = pair;
  }

  /**
   * Has the guest leave in post-copy, after a mirror of its disk that becomes ready and ends.
   *
   * @returns the connection between the QEMUs.
   */
  async leave(reached: Reached, preempt = false): Promise<UnixRelay> {
    const { source, destination } = this.#pair;
    const dir = this.#context.dir;
    const n = ++this.#round;
    const [near, far] = [`${dir}/near-${n}.sock`, `${dir}/far-${n}.sock`];
    const both = { "postcopy-ram": true, ...(preempt ? { "postcopy-preempt": true } : {}) };
    await capabilities(source, { ...both, "events": true, "pause-before-switchover": true });
    await capabilities(destination, { ...both, "late-block-activate": true });
    await destination.execute("stop");
    await destination.execute("migrate-incoming", {
      uri: `unix:${far}`,
      ...(destination.atLeast(9, 1) ? { "exit-on-error": false } : {}),
    });
    const limit = { "max-bandwidth": BYTES_PER_SECOND, "max-postcopy-bandwidth": BYTES_PER_SECOND };
    await source.execute("migrate-set-parameters", limit);
    const mirror = await Mirror.start(source, `${dir}/mirror-${n}.raw`);
    const relay = this.#context.use(new UnixRelay(near, far));
    await source.execute("migrate", { uri: `unix:${near}` });
    await status(source, "active");
    await source.execute("migrate-start-postcopy");
    await status(source, "pre-switchover");
    await mirror.end();
    if (reached === "package") relay.hold();
    await source.execute("migrate-continue", { state: "pre-switchover" });
    await status(source, "postcopy-active", "postcopy-device");
    if (reached === "loaded") {
      await poll("the destination to load", async () => {
        const { status: there } = await destination.execute<{ status: string }>("query-status");
        return there === "paused" ? true : undefined;
      });
      await status(source, "postcopy-active");
    }
    return relay;
  }

  /**
   * Takes the guest back, and lets it run on.
   *
   * @returns how QEMU's migration ended.
   */
  async takeBack(
    listen: (path: string) => Promise<Acceptor> = listenUnix,
    signal?: AbortSignal,
  ): Promise<string> {
    const { source } = this.#pair;
    const qmp = this.#qmp ??= this.#context.use(
      await QmpClient.open(await connectUnix(source.qmpSocket)),
    );
    const start = performance.now();
    const end = await takeBack({
      ...{ qmp, clock: systemClock, log: silentLogger, listen },
      ...(signal ? { signal } : {}),
      socketPath: `${this.#context.dir}/back.sock`,
      removeFile: (path) => Deno.remove(path).catch(() => {}),
    });
    const ms = performance.now() - start;
    this.longestMs = Math.max(this.longestMs, ms);
    this.#context.note(`back in ${ms.toFixed(0)} ms: ${JSON.stringify(end)}`);
    if (!OVER.includes(end.status)) throw new Error(`Got the status "${end.status}"`);
    // The migration's status is `completed` a moment before the run state is `postmigrate`.
    const state = await poll("QEMU's run state after its migration", async () => {
      const status = await source.status();
      return status === "finish-migrate" ? undefined : status;
    });
    if (state !== "running") await source.execute("cont");
    return end.status;
  }

  /** The guest runs at the source, writes to its disk, and finds each page of RAM as it left it. */
  async assertRuns(): Promise<void> {
    const { source } = this.#pair;
    await source.waitCounter(await source.counter() + 100);
    const lap = await source.peek(GUEST_STATE.ramLap);
    await poll("the guest to look at all of its pages", async () => {
      return await source.peek(GUEST_STATE.ramLap) >= lap + 2 ? true : undefined;
    });
    const changed = await source.peek(GUEST_STATE.ramFaults);
    if (changed > 0) throw new Error(`The guest found ${changed} pages of RAM changed`);
  }

  /** The destination's QEMU ends; a new one takes its place. The source's settings are as before. */
  async renew(preempt = false): Promise<void> {
    await this.#pair.destination.crash();
    await this.#pair.renewDestination();
    const limit = { "max-bandwidth": DEFAULT_BANDWIDTH, "max-postcopy-bandwidth": 0 };
    await this.#pair.source.execute("migrate-set-parameters", limit);
    const off = { "postcopy-ram": false, "pause-before-switchover": false, "events": false };
    await capabilities(this.#pair.source, {
      ...off,
      ...(preempt ? { "postcopy-preempt": false } : {}),
    });
  }
}

/** A mirror of the guest's first disk to a file. */
class Mirror {
  readonly #qemu: Qemu;

  /** Returns when it is ready. */
  static async start(qemu: Qemu, path: string): Promise<Mirror> {
    const nodes = await qemu.execute<{ "node-name": string; image: { "virtual-size": number } }[]>(
      "query-named-block-nodes",
      { flat: true },
    );
    const disk = nodes.find((node) => node["node-name"] === "source-vd0")!;
    await Deno.writeFile(path, new Uint8Array());
    await Deno.truncate(path, disk.image["virtual-size"]);
    await qemu.execute("blockdev-add", {
      ...{ "node-name": "copy", "driver": "raw" },
      file: { driver: "file", filename: path },
    });
    await qemu.execute("blockdev-mirror", {
      ...{ "job-id": "copy", "device": "source-vd0", "target": "copy", "sync": "full" },
    });
    const mirror = new Mirror(qemu);
    await mirror.#until("ready", (job) => job?.status === "ready");
    return mirror;
  }

  private constructor(qemu: Qemu) {
    this.#qemu = qemu;
  }

  async end(): Promise<void> {
    await this.#qemu.execute("block-job-cancel", { device: "copy" });
    await this.#until("gone", (job) => job === undefined);
    await this.#qemu.execute("blockdev-del", { "node-name": "copy" });
  }

  async #until(
    what: string,
    matches: (job: { status: string } | undefined) => boolean,
  ): Promise<void> {
    await poll(`the mirror to be ${what}`, async () => {
      const jobs = await this.#qemu.execute<{ id: string; status: string }[]>("query-jobs");
      return matches(jobs.find(({ id }) => id === "copy")) ? true : undefined;
    });
  }
}

async function capabilities(qemu: Qemu, states: Readonly<Record<string, boolean>>): Promise<void> {
  await qemu.execute("migrate-set-capabilities", {
    capabilities: Object.entries(states).map(([capability, state]) => ({ capability, state })),
  });
}

/** Waits for one of these statuses of QEMU's migration. */
async function status(qemu: Qemu, ...wanted: readonly string[]): Promise<void> {
  await poll(
    `${qemu.name}: migration ${wanted.join(" or ")}`,
    async () => {
      const now = await qemu.execute<{ status: string; "error-desc"?: string }>("query-migrate");
      if (now.status === "failed") throw new Error(`${qemu.name}: ${now["error-desc"]}`);
      return wanted.includes(now.status) ? true : undefined;
    },
    20_000,
    5,
  );
}
