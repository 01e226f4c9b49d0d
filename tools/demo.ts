/**
 * `make demo`: the main job as a story. Two real QEMUs, one with a guest that never stops writing
 * to its two disks; vmferry moves it; then every write is looked for.
 *
 * @module
 */
import { Pair } from "../tests/scenarios/pair/pair.ts";
import { MiB } from "../tests/scenarios/pair/pair_options.ts";
import { accelerator } from "../tests/scenarios/support/qemu.ts";
import { ScenarioContext } from "../tests/scenarios/support/scenario.ts";
import { vmferryPath } from "../tests/scenarios/support/vmferry.ts";

const DISK_MIB = 384;
/** Slow enough for a look at the bars. */
const BANDWIDTH_MIB = 120;

const dir = await Deno.makeTempDir({ prefix: "vmferry-demo-" });
const context = new ScenarioContext(dir, new AbortController().signal);
let code = 1;
try {
  await story();
  code = 0;
} catch (error) {
  console.error(`\nIt went wrong: ${(error as Error).message}\n${context.report()}`);
} finally {
  await context[Symbol.asyncDispose]();
  await Deno.remove(dir, { recursive: true });
}
Deno.exit(code);

async function story(): Promise<void> {
  say(
    `Two QEMUs (${accelerator().toUpperCase()}), two disks of ${DISK_MIB} MiB, a guest that counts:`,
  );
  const pair = await Pair.start(context, {
    disks: [{ from: "raw", to: "raw" }, { from: "raw", to: "qcow2" }],
    bytes: DISK_MIB * MiB,
  });
  say(`it runs in the first one and has written its disks ${await pair.source.counter()} times.`);

  const receive = pair.receive();
  const address = await receive.address();
  say("\nAt the destination, where QEMU waits with -incoming defer:");
  say(`  $ vmferry receive --qmp dest.qmp --listen tcp://127.0.0.1:0`);
  say(`  listening on ${address}\n\nAt the source:`);
  say(`  $ vmferry migrate --qmp source.qmp --bandwidth ${BANDWIDTH_MIB}M ${address}`);
  await migrate(pair, address);
  const exit = await receive.exit();
  if (exit !== 0) throw new Error(`receive ended with ${exit}`);

  const pause = await pair.pauseMs();
  say(`\nBy the QEMUs' own clocks the guest stood still for ${pause.toFixed(1)} ms. Looking for`);
  say("every write of it on the destination's disks, and for anything left behind ...");
  const counter = await pair.destination.counter();
  await pair.assertArrived();
  say(`It went on counting at ${counter}, no write is missing, nothing was left behind.`);
}

async function migrate(pair: Pair, address: string): Promise<void> {
  const { code } = await new Deno.Command(vmferryPath(), {
    args: [
      ...["migrate", "--qmp", pair.source.qmpSocket, "--secret-file", pair.secretFile],
      ...["--run-dir", pair.runDir("source"), "--bandwidth", `${BANDWIDTH_MIB}M`, address],
    ],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code !== 0) throw new Error(`migrate ended with ${code}`);
}

function say(line: string): void {
  console.log(line);
}
