import { type BytePipe, silentLogger } from "../../src/io/mod.ts";
import { SourceContext } from "../../src/migrate/source/context.ts";
import type { SourceOptions } from "../../src/migrate/source/options.ts";
import { Limits, type MigrationEvent, type SourceRecord } from "../../src/migrate/mod.ts";
import { QmpClient } from "../../src/qmp/mod.ts";
import { ChannelServer, type Handlers, RpcPeer } from "../../src/rpc/mod.ts";
import type { Session } from "../../src/tunnel/mod.ts";
import { serverSaying, WHOLE } from "../nbd/dialogue.ts";
import { sessionPair } from "../tunnel/session_pair.ts";
import { ALONE, NO_HOST } from "./fake_destination.ts";
import type { Commands } from "./fake_qemu.ts";
import { ManualClock } from "./manual_clock.ts";
import { memoryPipe } from "./memory_pipe.ts";
import { FakeSockets, RunningQemu } from "./running_qemu.ts";

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
          ...{
            qemuVersion: "7.2.15",
            warnings: [],
            images: null,
            recover: "recover it",
            multifd: null,
            postcopy: null,
            hashes: null,
          },
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
    host: {
      ...{ describeHost: NO_HOST, processes: ALONE, removeFile },
      ...{ connectTcp: notServed, connectUnix: notServed },
    },
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
