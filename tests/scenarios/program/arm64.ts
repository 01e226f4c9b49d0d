import { project } from "../../../tools/run.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { echoHash, echoServer } from "../support/streams.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** What `make arm64` has built. */
const FILE = project("dist/vmferry-arm64");
/** Runs programs for arm64; the libraries are those of Debian's libc6-arm64-cross and libgcc-s1-arm64-cross. */
const EMULATOR = "qemu-aarch64-static -L /usr/aarch64-linux-gnu";
/** An emulated program starts this late, ms. */
const SLOW_MS = 150_000;
/** Patience of both ends: an emulated one is slow. */
const PATIENT = ["--dead-after", "120", "--grace", "120"];
const CONNECT = ["--connect-timeout", "120"];
const MIB = 4;

/** The program for arm64, run by an emulator of its processor, and this machine's as its peer. */
export const scenario: Scenario = {
  name: "arm64",
  about:
    "the program for arm64 checks a QEMU, carries streams and receives a guest from one for amd64",
  timeoutMs: 900_000,
  long: true,
  async run(context) {
    const prefix = await emulated(context);
    const { dir } = context;
    const pair = await Pair.start(context, {
      bytes: 16 << 20,
      guest: { ring: { start: 2048, length: 4096, runId: 64n } },
      disks: [{ from: "raw", to: "qcow2" }],
    });

    context.note("check");
    const check = context.vmferry({
      ...{ name: "check", prefix },
      args: ["check", "--json", "--qmp", pair.source.qmpSocket],
    });
    await assertExit(check, 0, SLOW_MS);

    context.note("forward, encrypted by a ticket");
    using _echo = echoServer(`${dir}/echo`);
    const there = context.vmferry({
      ...{ name: "there", prefix },
      args: [
        ...["forward", "--json", ...PATIENT, "--listen", "vmferry://127.0.0.1:0"],
        ...["--to", `echo=unix://${dir}/echo`],
      ],
    });
    const here = context.vmferry({
      name: "here",
      args: [
        ...["forward", "--json", ...PATIENT, ...CONNECT],
        ...["--from", `echo=unix://${dir}/here`, await addressOf(there)],
      ],
    });
    await here.waitEvent("listening", undefined, SLOW_MS);
    const start = performance.now();
    await echoHash(`${dir}/here`, MIB << 20, 1);
    const rate = 2 * MIB / ((performance.now() - start) / 1000);
    for (const ferry of [here, there]) {
      ferry.signal("SIGTERM");
      await assertExit(ferry, 0, SLOW_MS);
    }

    context.note("a guest");
    const secret = ["--secret-file", pair.secretFile];
    const receive = pair.receiveWith(
      [...PATIENT, ...secret, "--listen", "tcp://127.0.0.1:0"],
      prefix,
    );
    const address = await addressOf(receive);
    const migrate = pair.migrateWith([...PATIENT, ...CONNECT, ...secret, address]);
    await assertExit(migrate, 0, 2 * SLOW_MS);
    await assertExit(receive, 0, SLOW_MS);
    await pair.assertArrived();
    return `${rate.toFixed(1)} MiB/s round trip, emulated`;
  },
};

async function addressOf(ferry: Vmferry): Promise<string> {
  return String((await ferry.waitEvent("listening", undefined, SLOW_MS)).address);
}

/**
 * What has to be in front of a command of this machine's program to have the one for arm64 carry it out.
 *
 * The file itself is run: its script unpacks it. The Deno in it gets the emulator in front, unless the
 * kernel starts that by itself (binfmt_misc).
 */
async function emulated({ dir }: ScenarioContext): Promise<readonly string[]> {
  if (!await Deno.stat(FILE).catch(() => undefined)) {
    throw new Error("there is no dist/vmferry-arm64: run 'make arm64'");
  }
  const cache = `${dir}/cache`;
  const runner = `${dir}/run`;
  // The first argument is the program of this machine.
  const script = `#!/bin/sh\nshift\nexport XDG_CACHE_HOME=${cache}\nexec ${FILE} "$@"\n`;
  await Deno.writeTextFile(runner, script, { mode: 0o755 });
  const first = await version(runner);
  if (first.code !== 0) {
    for (const { name } of Deno.readDirSync(`${cache}/vmferry`)) {
      const deno = `${cache}/vmferry/${name}/deno`;
      await Deno.rename(deno, `${deno}-arm64`);
      const front = `#!/bin/sh\nexec ${EMULATOR} ${deno}-arm64 "$@"\n`;
      await Deno.writeTextFile(deno, front, { mode: 0o755 });
    }
  }
  const { code, text } = first.code === 0 ? first : await version(runner);
  if (code !== 0 || !/^vmferry \S+ \(packed, /.test(text)) {
    throw new Error(`--version: ${code} ${text}`);
  }
  return [runner];
}

async function version(runner: string): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(runner, {
    args: ["vmferry", "--version"],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, text: text(stdout) + text(stderr) };
}
