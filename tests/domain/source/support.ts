import type { Acceptor, BytePipe } from "../../../src/io/mod.ts";
import type { ProgramResult, RunningProgram, RunProgram } from "../../../src/host/mod.ts";
import { unbatched } from "../../libvirt/unbatched.ts";

/** Accepts pipes as they are pushed. */
export class FakeAcceptor implements Acceptor {
  readonly address = "memory";
  closed = false;
  readonly #waiting: ((pipe: BytePipe | undefined) => void)[] = [];
  readonly #ready: BytePipe[] = [];

  push(pipe: BytePipe): void {
    const next = this.#waiting.shift();
    if (next) next(pipe);
    else this.#ready.push(pipe);
  }

  accept(): Promise<BytePipe | undefined> {
    const pipe = this.#ready.shift();
    if (pipe || this.closed) return Promise.resolve(pipe);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.closed = true;
    for (const waiting of this.#waiting.splice(0)) waiting(undefined);
  }
}

/** A program that a test ends. */
export class FakeProgram implements RunningProgram {
  readonly ended: Promise<ProgramResult>;
  readonly #end: (result: ProgramResult) => void;
  readonly #onKill: () => void;

  constructor(onKill: () => void = () => {}) {
    const { promise, resolve } = Promise.withResolvers<ProgramResult>();
    [this.ended, this.#end] = [promise, resolve];
    this.#onKill = onKill;
  }

  end(code: number, stderr = ""): void {
    this.#end({ code, stdout: "", stderr });
  }

  kill(): void {
    this.#onKill();
    this.end(137);
  }
}

const UUID = "12345678-1234-4234-8234-123456789abc";

/** A libvirt with one domain, as virsh shows it. */
export class FakeLibvirt {
  static readonly UUID = UUID;
  /** virDomainState, and its reason: 1 running, 3 paused (2 migrating), 5 shut off; 0: there is none. */
  state: readonly [state: number, reason: number] = [1, 1];
  /** virDomainJobType. */
  job = 0;
  /** Further lines of `domjobinfo --rawstats`. */
  stats = "";
  /** What `blockjob --raw` prints. */
  blockJob = "";
  /** Migration limit, MiB/s. */
  speed = "9007199254740991";
  /** Every command that changes something, without its connection. */
  readonly changes: string[] = [];
  /** Commands that fail, with the words of libvirt. */
  readonly failing = new Map<string, string>();
  readonly failed: string[] = [];

  /** How many virsh were started. */
  started = 0;

  readonly run: RunProgram = (argv, options) => {
    this.started++;
    return this.#run(argv, options);
  };

  readonly #run: RunProgram = unbatched((argv) => {
    const args = argv.slice(argv.indexOf("--connect") + 2);
    const [command = ""] = args;
    const words = this.failing.get(command);
    if (words !== undefined) {
      this.failed.push(command);
      return Promise.resolve({ code: 1, stdout: "", stderr: `error: ${words}\n` });
    }
    return Promise.resolve({ code: 0, stdout: this.#answer(command, args), stderr: "" });
  });

  #answer(command: string, args: readonly string[]): string {
    switch (command) {
      case "list":
        return this.state[0] === 0 ? "" : `${UUID}\n`;
      case "domstats":
        return `Domain: 'vm1'\n  state.state=${this.state[0]}\n  state.reason=${this.state[1]}\n`;
      case "domjobinfo":
        return `Job type: ${this.job}\n\n${this.stats}`;
      case "blockjob":
        return this.blockJob;
      case "migrate-getspeed":
        return `${this.speed}\n`;
      case "resume":
        this.state = [1, 5];
        break;
      case "destroy":
        this.state = [5, 2];
        break;
      case "undefine":
        this.state = [0, 0];
        break;
    }
    this.changes.push(args.join(" "));
    return "";
  }
}

/** A message of libvirt with this procedure and body. */
export function message(procedure: number, body: readonly number[] = [], program = 0x20008086) {
  const bytes = new Uint8Array(28 + body.length);
  const view = new DataView(bytes.buffer);
  [bytes.length, program, 1, procedure].forEach((value, i) => view.setUint32(4 * i, value));
  bytes.set(body, 28);
  return bytes;
}
