import type { Acceptor, BytePipe } from "../../src/io/mod.ts";
import { WaitingQemu } from "./fake_destination.ts";
import type { Answer, Commands } from "./fake_qemu.ts";
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
  /** Whether RAM crosses again when post-copy is resumed. */
  joins = true;
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
      "migrate": ({ uri, resume }) => {
        this.#sockets.connect(String(uri).replace(/^unix:/, ""));
        if (resume) {
          return this.joins ? this.#after(() => this.migrate("postcopy-active")) : OK;
        }
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
