import { connectTcp, connectUnix } from "../../../src/transport/mod.ts";
import { readFull, writeAll } from "../../../src/io/mod.ts";
import { Pair } from "../pair/pair.ts";
import { assertRefused, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";

/** "vmferry", version 9.0, as a preface of the tunnel. */
const FUTURE = new Uint8Array(16);
FUTURE.set([0x89, 0x56, 0x4d, 0x46, 0x45, 0x52, 0x52, 0x59, 0x0d, 0x0a, 0x1a, 0x0a, 0, 9, 0, 0]);

/** The destination has one disk more than the source, on purpose. */
const ALLOWED = ["--allow", "device"];

const BAD_NAMES: readonly (readonly [readonly string[], RegExp])[] = [
  [["nope"], /--disk nope: there is no disk nope\. Disks: vd0, other, small/],
  [["vd0=nope"], /--disk vd0=nope: there is no disk nope/],
  [["x=vd0", "y=vd0"], /--disk y=vd0: disk vd0 is already the copy of the source's disk x/],
];

/** Each mismatch is refused with its reason, changes nothing, and the next try works. */
export const scenario: Scenario = {
  name: "refusals",
  about: "each mismatch is refused with its reason (exit 3), and the next try works",
  timeoutMs: 180_000,
  async run(context) {
    const pair = await Pair.start(context, {
      bytes: 16 << 20,
      guest: { ring: { start: 2048, length: 4096, runId: 5n } },
      disks: [
        { from: "raw", to: "raw" },
        { from: "raw", to: "raw", destinationId: "other" },
      ],
      destinationExtra: await smallDisk(context.dir),
    });
    const { source, destination } = pair;

    context.note("QMP: a wrong path, no listener, a socket that another client uses");
    // A second client of a QMP socket waits for the greeting until the first one has gone.
    const holder = await connectUnix(destination.qmpSocket);
    for (const [path, reason] of await badQmpSockets(context.dir, destination.qmpSocket)) {
      const check = context.vmferry({ name: "check", args: ["check", "--json", "--qmp", path] });
      await assertRefused(check, reason);
    }
    holder.close();

    context.note("destination: nothing listens");
    const alone = pair.migrate("tcp://127.0.0.1:1");
    const code = await alone.exit();
    if (code !== 1) throw new Error(`Nobody listens there: ended with ${code}, expected 1`);
    await pair.assertStillAtSource();

    context.note("a disk without a counterpart");
    await bothRefused(
      /disk vd1 of the source has no counterpart.*Its disks: vd0, other, small/,
      [],
    );

    context.note("disks that the destination lacks or names twice");
    for (const [names, reason] of BAD_NAMES) {
      const receive = pair.receive(names.flatMap((name) => ["--disk", name]));
      await assertRefused(receive, reason);
      if (receive.events.entries.some((e) => e.event === "listening")) {
        throw new Error("It listened for a guest that it can't take");
      }
    }

    context.note("a disk that is smaller at the destination");
    const toSmall = ["--disk", "vd0", "--disk", "vd1=small"];
    await bothRefused(/vd1 has 16777216 bytes at the source and 12582912 bytes/, toSmall);

    const receive = pair.receive(["--disk", "vd0", "--disk", "vd1=other"]);
    const address = await receive.address();

    context.note("a wrong secret");
    const wrong = `${context.dir}/wrong-secret`;
    await Deno.writeTextFile(wrong, "not the secret of this pair", { mode: 0o600 });
    await assertRefused(pair.migrate(address, [...ALLOWED, "--secret-file", wrong]), /secret/);

    context.note("another version of the tunnel, from either side");
    await refusesVersion(Number(address.split(":").at(-1)));
    using future = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const answering = future.accept().then(async (conn) => {
      await writeAll(conn, FUTURE);
      await readFull(conn, new Uint8Array(16));
      return conn;
    });
    await assertRefused(pair.migrate(`tcp://127.0.0.1:${future.addr.port}`), /9\.0/);
    (await answering).close();

    context.note("a running block job");
    await source.execute("blockdev-add", {
      ...{ driver: "null-co", "node-name": "nothing", size: 16 << 20 },
    });
    await source.execute("blockdev-mirror", {
      ...{ "job-id": "backup-of-somebody", device: "source-vd1", target: "nothing" },
      ...{ sync: "full", speed: 1 },
    });
    await assertRefused(
      pair.migrate(address, ALLOWED),
      /block job "backup-of-somebody" \(mirror\)/,
    );
    await source.execute("block-job-cancel", { device: "backup-of-somebody", force: true });
    await poll("the job to end", async () => {
      return (await source.execute<unknown[]>("query-jobs")).length === 0 ? true : undefined;
    });
    await source.execute("blockdev-del", { "node-name": "nothing" });

    context.note("a migration blocker");
    const vdi = `${context.dir}/other.vdi`;
    await new Deno.Command("qemu-img", { args: ["create", "-q", "-f", "vdi", vdi, "1M"] }).output();
    await source.execute("blockdev-add", {
      ...{ driver: "vdi", "node-name": "unmovable", file: { driver: "file", filename: vdi } },
    });
    await assertRefused(
      pair.migrate(address, ALLOWED),
      /vdi format .* does not support live migration/,
    );
    await source.execute("blockdev-del", { "node-name": "unmovable" });
    await pair.assertStillAtSource({ receiving: true });

    context.note("every obstacle removed: the migration succeeds");
    const check = context.vmferry({
      name: "check",
      args: [
        ...["check", "--json", "--qmp", source.qmpSocket],
        ...[...ALLOWED, "--secret-file", pair.secretFile, address],
      ],
    });
    if (await check.exit() !== 0) throw new Error("check found something in the way");
    const migrate = pair.migrate(address, ALLOWED);
    for (const ferry of [migrate, receive]) {
      if (await ferry.exit() !== 0) throw new Error(`${ferry.name} failed at last`);
    }
    await pair.assertArrived();

    async function bothRefused(reason: RegExp, options: readonly string[]) {
      const receive = pair.receive(options);
      const migrate = pair.migrate(await receive.address(), ALLOWED);
      await assertRefused(migrate, reason);
      await assertRefused(receive, reason);
      await pair.assertStillAtSource();
    }
  },
};

/** Arguments for a disk that the source does not have. */
async function smallDisk(dir: string): Promise<string[]> {
  const path = `${dir}/small.raw`;
  await Deno.writeFile(path, new Uint8Array(12 << 20));
  const node = { driver: "raw", "node-name": "small", file: { driver: "file", filename: path } };
  return ["-blockdev", JSON.stringify(node), "-device", "virtio-blk-pci,drive=small,id=small"];
}

async function badQmpSockets(dir: string, held: string): Promise<[string, RegExp][]> {
  const stale = `${dir}/stale.sock`;
  // Left as by a crash: closing it under its first name would have removed it.
  const crashed = Deno.listen({ transport: "unix", path: `${stale}.first` });
  await Deno.rename(`${stale}.first`, stale);
  crashed.close();
  return [
    [`${dir}/nowhere.sock`, /nowhere\.sock: No such file/],
    [stale, /stale\.sock: Connection refused/],
    [held, /another client/],
  ];
}

/** Speaks to a receive as a later version would; expects a message about the version. */
async function refusesVersion(port: number): Promise<void> {
  const pipe = await connectTcp("127.0.0.1", port);
  await writeAll(pipe, FUTURE);
  const answer = new Uint8Array(4096);
  let text = "";
  for (let n; (n = await pipe.read(answer)) !== null;) {
    text += new TextDecoder("latin1").decode(answer.subarray(0, n));
  }
  pipe.close();
  if (!/1\.x .* 9\.0/.test(text)) {
    throw new Error(`Got "${text}", expected a word about the version`);
  }
}
