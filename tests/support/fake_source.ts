/**
 * A source without a QEMU, a disk or a network: a QEMU, a destination's tool and a journal that are not real,
 * all of which note what reaches them in one list. So a test sees in which order the source does things.
 *
 * @module
 */
import { type Acceptor, type BytePipe, silentLogger } from "../../src/io/mod.ts";
import { SourceContext } from "../../src/migrate/source/context.ts";
import type { SourceOptions } from "../../src/migrate/source/options.ts";
import { Limits, type MigrationEvent, type SourceRecord } from "../../src/migrate/mod.ts";
import { QmpClient } from "../../src/qmp/mod.ts";
import { ChannelServer, type Handlers, RpcPeer } from "../../src/rpc/mod.ts";
import type { Session } from "../../src/tunnel/mod.ts";
import { serverSaying, WHOLE } from "../nbd/dialogue.ts";
import { sessionPair } from "../tunnel/session_pair.ts";
import { NO_HOST, WaitingQemu } from "./fake_destination.ts";
import type { Answer, Commands } from "./fake_qemu.ts";
import { ManualClock } from "./manual_clock.ts";
import { memoryPipe } from "./memory_pipe.ts";

/** Commands that change nothing: they are not noted. */
const QUESTIONS = /^(query-|qom-|qmp_|human-monitor|device-list)/;
const OK = { return: {} };

/** The disk of the fake guest, of the size that the fake NBD server says. */
const DISK_BYTES = 1024 * 1024;
const BLOCK = {
  device: "",
  qdev: "/machine/peripheral/vd0/virtio-backend",
  inserted: {
    "node-name": "d0",
    ...{ ro: false, drv: "raw", image: { "virtual-size": DISK_BYTES } },
  },
};

/** A QEMU with a running guest and one disk. */
export class RunningQemu {
  status = "running";
  migration = "none";
  migrationError: string | undefined;
  /** Status of each mirror job, by its id. */
  readonly jobs = new Map<string, string>();
  readonly nodes = new Set<string>();
  readonly qemu: WaitingQemu;
  readonly #order: string[];
  readonly #sockets: FakeSockets;

  constructor(pipe: BytePipe, order: string[], sockets: FakeSockets, more: Commands) {
    this.#order = order;
    this.#sockets = sockets;
    const all: Commands = { ...this.#commands(), ...more };
    const noted = Object.entries(all).map(([name, answer]) => [
      name,
      (args: Record<string, unknown>) => {
        if (!QUESTIONS.test(name)) order.push(`qmp:${name}`);
        return answer(args);
      },
    ]);
    this.qemu = new WaitingQemu(pipe, Object.fromEntries(noted));
  }

  /** One of QEMU's events. */
  async say(event: string, data: unknown = {}): Promise<void> {
    await this.qemu.fake.say({ event, data, timestamp: { seconds: 1, microseconds: 0 } });
  }

  /** Changes a job and says so. */
  async job(id: string, status: string): Promise<void> {
    this.jobs.set(id, status);
    if (status === "concluded") await this.say("BLOCK_JOB_COMPLETED", { device: id });
    await this.say("JOB_STATUS_CHANGE", { id, status });
  }

  /** Changes the migration and says so. */
  async migrate(status: string): Promise<void> {
    this.migration = status;
    await this.say("MIGRATION", { status });
  }

  #commands(): Commands {
    return {
      "query-block": () => ({ return: [BLOCK] }),
      "query-block-jobs": () => ({ return: [] }),
      "query-cpus-fast": () => ({ return: [{ "thread-id": 77 }] }),
      "query-status": () => ({ return: { status: this.status, running: false } }),
      "query-migrate": () => ({
        return: {
          status: this.migration,
          ...(this.migrationError === undefined ? {} : { "error-desc": this.migrationError }),
        },
      }),
      "query-migrate-parameters": () => ({ return: { "max-bandwidth": 1, "downtime-limit": 300 } }),
      "query-named-block-nodes": () => ({
        return: ["d0", ...this.nodes].map((name) => ({ "node-name": name, drv: "raw", file: "" })),
      }),
      "query-jobs": () => ({
        return: [...this.jobs].map(([id, status]) => ({
          ...{ id, type: "mirror", status, "current-progress": 1, "total-progress": 1 },
        })),
      }),
      "blockdev-add": (args) => {
        this.nodes.add(String(args["node-name"]));
        this.#sockets.connect((args.server as { path: string }).path);
        return OK;
      },
      "blockdev-del": (args) => {
        this.nodes.delete(String(args["node-name"]));
        return OK;
      },
      "blockdev-mirror": (args) => this.#after(() => this.job(String(args["job-id"]), "ready")),
      "block-job-cancel": ({ device }) => this.#after(() => this.job(String(device), "concluded")),
      "job-dismiss": ({ id }) => {
        this.jobs.delete(String(id));
        return OK;
      },
      "migrate-set-parameters": () => OK,
      "migrate-set-capabilities": () => OK,
      "migrate": ({ uri }) => {
        this.#sockets.connect(String(uri).replace(/^unix:/, ""));
        this.status = "finish-migrate";
        return this.#after(async () => {
          await this.say("STOP");
          await this.migrate("pre-switchover");
        });
      },
      "migrate-continue": () => {
        this.status = "postmigrate";
        return this.#after(() => this.migrate("completed"));
      },
      "migrate_cancel": () => {
        this.status = "running";
        return this.#after(() => this.migrate("cancelled"));
      },
      "stop": () => {
        this.status = "paused";
        return this.#after(() => this.say("STOP"));
      },
      "cont": () => {
        this.status = "running";
        return this.#after(() => this.say("RESUME"));
      },
    };
  }

  #after(event: () => Promise<void>): Answer {
    setTimeout(() => event().catch(() => {}), 0);
    return OK;
  }

  /** How often it was given a command. */
  count(command: string): number {
    return this.#order.filter((entry) => entry === `qmp:${command}`).length;
  }
}

/** Listening sockets in memory. */
export class FakeSockets {
  readonly #waiting = new Map<string, (pipe: BytePipe | undefined) => void>();
  readonly #early = new Map<string, BytePipe[]>();
  readonly #pipes: BytePipe[] = [];

  listen(path: string): Promise<Acceptor> {
    const early: BytePipe[] = [];
    this.#early.set(path, early);
    let closed = false;
    return Promise.resolve({
      address: path,
      accept: () => {
        const pipe = early.shift();
        if (pipe || closed) return Promise.resolve(pipe);
        return new Promise((resolve) => this.#waiting.set(path, resolve));
      },
      close: () => {
        closed = true;
        this.#waiting.get(path)?.(undefined);
        this.#waiting.delete(path);
      },
    });
  }

  connect(path: string): void {
    const [client, server] = memoryPipe();
    this.#pipes.push(client);
    const waiting = this.#waiting.get(path);
    this.#waiting.delete(path);
    if (waiting) waiting(server);
    else this.#early.get(path)?.push(server);
  }

  close(): void {
    for (const pipe of this.#pipes) pipe.close();
  }
}

/** A destination's tool that does what it is asked, at once. */
export class FakeTool {
  readonly sessions: Session[] = [];
  /** The params of `abort`, once that was called. */
  aborted: unknown;
  /** What its NBD server says on a new connection. */
  nbd: () => BytePipe = () => serverSaying(WHOLE);
  /** How many connections fail before one is made. */
  unreachable = 0;
  readonly #order: string[];
  readonly #handlers: Handlers;
  readonly #clock: ManualClock;

  constructor(order: string[], clock: ManualClock, handlers: Handlers) {
    this.#order = order;
    this.#clock = clock;
    this.#handlers = {
      prepare: ({ checkOnly, disks }) =>
        Promise.resolve({
          ...{ qemuVersion: "7.2.15", warnings: [], images: null, recover: "recover it" },
          exports: checkOnly ? [] : disks.map(({ name }) => ({ disk: name, exportName: name })),
        }),
      status: () => Promise.resolve({ state: "prepared", guest: "inmigrate" }),
      attach: () => Promise.resolve({ state: "prepared", exports: [] }),
      load: () => Promise.resolve({}),
      finish: () => Promise.resolve({ status: "running" }),
      abort: (params) => {
        this.aborted = params;
        return Promise.resolve({ left: null });
      },
      ...handlers,
    };
  }

  async connect(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    if (this.unreachable-- > 0) throw new Error("Connection refused");
    this.#order.push("connect");
    const { connecting, listening } = await sessionPair({ clock: this.#clock });
    this.sessions.push(listening);
    const channels = new ChannelServer(listening);
    channels.serve("nbd", () => Promise.resolve(this.nbd()));
    channels.serve("ram", () => Promise.resolve(memoryPipe()[0]));
    const calls = { ...this.#handlers, openTunnel: channels.open.bind(channels) };
    const noted = Object.entries(calls).map(([name, call]) => [
      name,
      (params: { channel?: string; checkOnly?: boolean }) => {
        const what = params.channel ?? (params.checkOnly ? "check" : undefined);
        this.#order.push(what === undefined ? `rpc:${name}` : `rpc:${name} ${what}`);
        return (call as (params: unknown) => unknown)(params);
      },
    ]);
    new RpcPeer(listening.rpc, {
      ...{ clock: this.#clock, log: silentLogger, onFault: () => {} },
      handlers: Object.fromEntries(noted),
    });
    return connecting;
  }
}

export interface FakeSourceOptions {
  readonly commands?: Commands;
  readonly handlers?: Handlers;
  readonly resume?: SourceRecord;
  readonly options?: Partial<SourceOptions>;
  /** Called before a record counts as written; a rejection is a journal that cannot be written. */
  readonly onWrite?: (record: SourceRecord) => Promise<void>;
}

/** A source whose phases a test may call one by one. */
export async function fakeSource(
  { commands = {}, handlers = {}, resume, options = {}, onWrite }: FakeSourceOptions = {},
) {
  /** `qmp:COMMAND`, `rpc:PROCEDURE`, `journal:STATE` and `connect`, as they happened. */
  const order: string[] = [];
  const clock = new ManualClock();
  const sockets = new FakeSockets();
  const [ours, theirs] = memoryPipe();
  const qemu = new RunningQemu(theirs, order, sockets, commands);
  const qmp = await QmpClient.open(ours);
  const tool = new FakeTool(order, clock, handlers);
  const written: SourceRecord[] = [];
  const events: MigrationEvent[] = [];
  const cancel = new AbortController();
  const notServed = () => Promise.reject(new Error("not served"));
  const removeFile = () => Promise.resolve();
  const all: SourceOptions = {
    ...{ qmp, qmpPath: "/qmp", destination: "tcp://x:1", resume, graceMs: 30_000 },
    ...{ disks: [], shared: [], reuse: [], allow: [], quitSource: false },
    ...{ clock, log: silentLogger, signal: cancel.signal, compareSocket: "/compare", removeFile },
    connect: (signal) => tool.connect(signal),
    listen: (path) => sockets.listen(path),
    runDir: { path: (name) => `/run/${name}` },
    journal: {
      write: async (record) => {
        order.push(`journal:${record.state}`);
        await onWrite?.(record);
        written.push(record);
      },
    },
    host: { describeHost: NO_HOST, connectTcp: notServed, connectUnix: notServed, removeFile },
    limits: new Limits(null, 300),
    report: (event) => void events.push(event),
    ...options,
  };
  let context: SourceContext | undefined;
  return {
    ...{ clock, qemu, qmp, tool, order, written, events, cancel, options: all },
    get context(): SourceContext {
      return context ??= new SourceContext(all);
    },
    /** Codes of the warnings that were reported. */
    get warnings(): string[] {
      return events.flatMap((event) => event.event === "warning" ? [event.code] : []);
    },
    /** What happened, but for what `not` finds. */
    without: (not: RegExp) => order.filter((entry) => !not.test(entry)),
    async end(): Promise<void> {
      context?.[Symbol.dispose]();
      for (const session of tool.sessions) session.abort("The test is over", "stopped");
      sockets.close();
      qemu.qemu.fake.close();
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

export type FakeSource = Awaited<ReturnType<typeof fakeSource>>;
