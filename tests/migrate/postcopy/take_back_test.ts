import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Acceptor, type BytePipe, silentLogger, writeAll } from "../../../src/io/mod.ts";
import { takeBack } from "../../../src/migrate/postcopy/take_back.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { type Answer, FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { memoryPipe, type MemoryPipeEnd } from "../../support/memory_pipe.ts";
import { WHOLE } from "./source_stream.ts";

const OK = { return: {} };
const SOCKET = "/run/vm/back.sock";
/** As QEMU 7.2 prints it; the blocks of WHOLE and one that does not migrate. */
const RAM_BLOCKS =
  `              Block Name    PSize              Offset               Used              Total
                  pc.ram    4 KiB  0x0000000000000000 0x0000000000040000 0x0000000000040000
    /rom@etc/acpi/tables    4 KiB  0x0000000008040000 0x0000000000020000 0x0000000000200000
                 vga.ram    4 KiB  0x0000000008000000 0x0000000000001000 0x0000000000001000
`;
/** Bytes of the answers to WHOLE: a pong, two bitmaps of 8 bytes, the acknowledgement, the end. */
const ANSWERS = 8 + (11 + 24) + (25 + 24) + 8 + 8;

/** A source in post-copy. */
class Source {
  status = "postcopy-paused";
  errorDesc: string | undefined;
  /** Commands that change something. */
  readonly commands: string[] = [];
  /** What happens on a resume, with a connection to the destination. */
  resumes: ((connect: () => MemoryPipeEnd) => Promise<void>)[] = [];
  /** What happens on a yank. */
  onYank = () => {};
  readonly clock = new ManualClock();
  readonly removed: string[] = [];
  readonly given: MemoryPipeEnd[] = [];
  listening = 0;
  #waiting: PromiseWithResolvers<BytePipe | undefined> | undefined;
  readonly #early: BytePipe[] = [];

  async takeBack(signal?: AbortSignal) {
    const [ours, theirs] = memoryPipe();
    new FakeQemu(theirs, {
      "query-version": () => ({
        return: { qemu: { major: 7, minor: 2, micro: 0 }, package: "" },
      }),
      "query-migrate": () => ({
        return: {
          status: this.status,
          ...(this.errorDesc ? { "error-desc": this.errorDesc } : {}),
          ram: { "page-size": 4096, transferred: 1, remaining: 1, total: 1 },
        },
      }),
      "human-monitor-command": () => ({ return: RAM_BLOCKS }),
      "migrate": (args) => this.#migrate(args),
      "yank": (args) => {
        this.commands.push(`yank ${JSON.stringify(args)}`);
        this.onYank();
        return OK;
      },
    });
    await using qmp = await QmpClient.open(ours, { clock: this.clock });
    return await takeBack({
      ...{ qmp, clock: this.clock, log: silentLogger, socketPath: SOCKET },
      ...(signal ? { signal } : {}),
      listen: () => Promise.resolve(this.#listen()),
      removeFile: (path) => Promise.resolve(void this.removed.push(path)),
    });
  }

  #migrate(args: Record<string, unknown>): Answer {
    this.commands.push(`migrate ${JSON.stringify(args)}`);
    const next = this.resumes.shift();
    if (!next) return { error: { class: "GenericError", desc: "No paused migration" } };
    next(() => this.#connect()).catch(() => {});
    return OK;
  }

  #connect(): MemoryPipeEnd {
    const [ours, theirs] = memoryPipe();
    this.given.push(theirs);
    if (this.#waiting) this.#waiting.resolve(theirs);
    else this.#early.push(theirs);
    this.#waiting = undefined;
    return ours;
  }

  #listen(): Acceptor {
    this.listening++;
    let closed = false;
    return {
      address: SOCKET,
      accept: () => {
        const early = this.#early.shift();
        if (early || closed) return Promise.resolve(early);
        this.#waiting = Promise.withResolvers();
        return this.#waiting.promise;
      },
      close: () => {
        if (!closed) this.listening--;
        closed = true;
        this.#waiting?.resolve(undefined);
        this.#waiting = undefined;
      },
    };
  }

  /** A resume that succeeds. */
  readonly succeeds = async (connect: () => MemoryPipeEnd) => {
    this.status = "postcopy-recover";
    const pipe = connect();
    await writeAll(pipe, WHOLE);
    const answers = new Uint8Array(ANSWERS);
    for (let got = 0; got < ANSWERS;) got += (await pipe.read(answers.subarray(got)))!;
    this.status = "completed";
  };

  /** A resume whose connection breaks in the middle. */
  readonly breaks = async (connect: () => MemoryPipeEnd) => {
    this.status = "postcopy-recover";
    const pipe = connect();
    await writeAll(pipe, WHOLE.subarray(0, 30));
    await settle();
    pipe.cut();
    this.status = "postcopy-paused";
    this.errorDesc = "Channel error: Input/output error";
  };
}

const RESUME = `migrate {"uri":"unix:${SOCKET}","resume":true}`;
const YANK = `yank {"instances":[{"type":"migration"}]}`;

/** Moves the time on until `promise` settles. */
async function inTime<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let done = false;
  const settled = promise.finally(() => done = true);
  settled.catch(() => {});
  for (let i = 0; i < 2000 && !done; i++) await clock.advance(50);
  assert(done, "it took longer than 100 s");
  return await settled;
}

Deno.test("a paused post-copy is resumed to a destination with every page, and completes", async () => {
  const source = new Source();
  source.resumes = [source.succeeds];
  const end = await inTime(source.clock, source.takeBack());
  assertEquals(end, { status: "completed", errorDesc: undefined });
  assertEquals(source.commands, [RESUME]);
  assertEquals(source.removed, [SOCKET]);
});

Deno.test("a take-back leaves no listener, connection or timer", async () => {
  const source = new Source();
  source.resumes = [source.breaks, source.succeeds];
  await inTime(source.clock, source.takeBack());
  assertEquals(source.listening, 0);
  assertEquals(source.given.map((pipe) => pipe.closed), [true, true]);
  assertEquals(source.clock.armed, 0);
});

Deno.test("a migration that is over is left alone", async () => {
  for (const status of ["none", "completed", "failed", "cancelled"]) {
    const source = new Source();
    source.status = status;
    assertEquals((await inTime(source.clock, source.takeBack())).status, status);
    assertEquals(source.commands, []);
  }
});

Deno.test("a migration that ends by itself is not resumed, and its reason is returned", async () => {
  const source = new Source();
  source.status = "postcopy-device";
  const end = source.takeBack();
  source.clock.after(1_000, () => {
    source.status = "failed";
    source.errorDesc = "Channel error";
  });
  assertEquals(await inTime(source.clock, end), { status: "failed", errorDesc: "Channel error" });
  assertEquals(source.commands, []);
});

Deno.test("a post-copy that stays active has its stream closed first", async () => {
  for (const status of ["postcopy-active", "postcopy-recover", "postcopy-device", "device"]) {
    const source = new Source();
    source.status = status;
    source.onYank = () => source.status = "postcopy-paused";
    source.resumes = [source.succeeds];
    assertEquals((await inTime(source.clock, source.takeBack())).status, "completed");
    assertEquals(source.commands, [YANK, RESUME]);
  }
});

Deno.test("a resume whose connection breaks is tried again", async () => {
  const source = new Source();
  source.resumes = [source.breaks, source.breaks, source.succeeds];
  assertEquals((await inTime(source.clock, source.takeBack())).status, "completed");
  assertEquals(source.commands, [RESUME, RESUME, RESUME]);
});

Deno.test("a post-copy that never resumes fails with QEMU's reason, after three tries", async () => {
  const source = new Source();
  source.resumes = [source.breaks, source.breaks, source.breaks, source.succeeds];
  await assertRejects(
    () => inTime(source.clock, source.takeBack()),
    Error,
    `(status "postcopy-paused"): Channel error: Input/output error`,
  );
  assertEquals(source.commands, [RESUME, RESUME, RESUME]);
});

Deno.test("a QEMU that refuses to resume, or does not connect, is tried again", async () => {
  const source = new Source();
  const refuses = undefined as unknown as typeof source.succeeds;
  source.resumes = [refuses, () => Promise.resolve(), source.succeeds];
  assertEquals((await inTime(source.clock, source.takeBack())).status, "completed");
  assertEquals(source.commands.length, 3);
});

Deno.test("a stream that is no resumed post-copy fails with the section that QEMU sent", async () => {
  const source = new Source();
  const starts = async (connect: () => MemoryPipeEnd) => {
    await writeAll(connect(), new TextEncoder().encode("QEVM"));
  };
  source.resumes = [starts, starts, starts];
  await assertRejects(
    () => inTime(source.clock, source.takeBack()),
    Error,
    "a section of type 81",
  );
});

Deno.test("the second connection of postcopy-preempt stays open until the migration is complete", async () => {
  const source = new Source();
  let closedEarly: boolean | undefined;
  source.resumes = [async (connect) => {
    const urgent = () => {
      connect();
      return source.given[1]!;
    };
    source.status = "postcopy-recover";
    const pipe = connect();
    await settle();
    const second = urgent();
    await writeAll(pipe, WHOLE);
    const answers = new Uint8Array(ANSWERS);
    for (let got = 0; got < ANSWERS;) got += (await pipe.read(answers.subarray(got)))!;
    await settle();
    closedEarly = second.closed;
    source.status = "completed";
  }];
  assertEquals((await inTime(source.clock, source.takeBack())).status, "completed");
  assertEquals([closedEarly, source.given[1]!.closed], [false, true]);
});

Deno.test("a status that stays fails after 20 s, and names what an old QEMU cannot do", async () => {
  const source = new Source();
  source.status = "postcopy-recover";
  const start = source.clock.now();
  await assertRejects(
    () => inTime(source.clock, source.takeBack()),
    Error,
    `(status "postcopy-recover"); QEMU before 8.2 cannot resume after`,
  );
  const seconds = (source.clock.now() - start) / 1000;
  assert(seconds >= 20 && seconds < 25, `${seconds} s`);
});

Deno.test("an aborted signal prevents the resume", async () => {
  const source = new Source();
  source.resumes = [source.succeeds];
  await assertRejects(
    () => inTime(source.clock, source.takeBack(AbortSignal.abort(new Error("stopped")))),
    Error,
    "stopped",
  );
  assertEquals(source.commands, []);
});
