import { assertExit, type ScenarioContext } from "../support/scenario.ts";
import type { LinuxHome } from "./linux_guest.ts";

/** What `migrate` reports at the end, in bytes and ms. */
export interface LinuxCrossing {
  readonly bytes: number;
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly pauseMs: number;
}

/** Moves a guest to its next home, and ends the old one with its images. */
export async function crossLinux(
  context: ScenarioContext,
  from: LinuxHome,
  to: LinuxHome,
  timeoutMs: number,
): Promise<LinuxCrossing> {
  const secret = `${context.dir}/secret`;
  await Deno.writeTextFile(secret, `${crypto.randomUUID()}\n`, { mode: 0o600 });
  const common = ["--json", "--secret-file", secret, "--run-dir"];
  for (const side of ["here", "there"]) {
    await Deno.mkdir(`${context.dir}/${side}`, { recursive: true });
  }
  const receive = context.vmferry({
    name: `receive of ${to.qemu.name}`,
    args: [
      ...["receive", ...common, `${context.dir}/there`, "--qmp", to.qemu.qmpSocket],
      ...["--listen", "tcp://127.0.0.1:0"],
    ],
  });
  const address = await receive.address();
  const migrate = context.vmferry({
    name: `migrate of ${from.qemu.name}`,
    args: ["migrate", ...common, `${context.dir}/here`, "--qmp", from.qemu.qmpSocket, address],
  });
  await assertExit(migrate, 0, timeoutMs);
  await assertExit(receive, 0);
  const result = await migrate.waitEvent("result");
  await from.qemu.quit();
  for (const { path } of from.images) await Deno.remove(path);
  context.note(`${to.qemu.name} has the guest`);
  const [bytes, totalMs, downtimeMs, pauseMs] = ["bytes", "totalMs", "downtimeMs", "pauseMs"]
    .map((name) => Number(result[name]));
  return { bytes: bytes!, totalMs: totalMs!, downtimeMs: downtimeMs!, pauseMs: pauseMs! };
}
