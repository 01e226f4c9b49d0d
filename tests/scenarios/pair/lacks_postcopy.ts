import { accelerator } from "../support/qemu_arguments.ts";
import { qemuBinary } from "./versions.ts";

/** Why post-copy cannot be tried; `undefined`: it can. vmferry refuses it for QEMU before 9.0 with TCG. */
export function lacksPostcopy(): string | undefined {
  if (accelerator() === "kvm") return undefined;
  const old = (["source", "dest"] as const).map(qemuBinary).find((binary) => majorOf(binary) < 9);
  return old && `${old} is older than 9.0, and without /dev/kvm it loses writes in post-copy. ` +
      "QEMU=10.0 has it";
}

function majorOf(binary: string): number {
  const { stdout } = new Deno.Command(binary, { args: ["--version"], stderr: "null" }).outputSync();
  return Number(/version (\d+)/.exec(new TextDecoder().decode(stdout))?.[1]);
}
