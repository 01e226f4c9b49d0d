/**
 * Which migration settings a QEMU binary has.
 *
 * @module
 */
import { askBinary } from "./ask_binary.ts";

/** Names of the capabilities and parameters. */
export interface QemuSettings {
  readonly capabilities: readonly string[];
  /** As its schema lists them: `query-migrate-parameters` leaves unset ones out. */
  readonly parameters: readonly string[];
}

interface SchemaEntity {
  readonly name: string;
  readonly "arg-type"?: string;
  readonly members?: readonly { readonly name: string }[];
}

/** Starts the QEMU that tools/qemu.sh has for a version, without a machine, and asks it. */
export async function askQemu(version: string): Promise<QemuSettings> {
  const tool = new URL("../../tools/qemu.sh", import.meta.url).pathname;
  const found = await new Deno.Command(tool, { args: [version], stderr: "piped" }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!found.success) throw new Error(text(found.stderr));
  const program = text(found.stdout).trim().replace(/^QEMU_DEST=/, "");
  const answers = await askBinary(program, ["query-migrate-capabilities", "query-qmp-schema"]);
  const schema = answers.get("query-qmp-schema") as SchemaEntity[];
  const named = (name: string | undefined) => schema.find((entity) => entity.name === name);
  const parameters = named(named("migrate-set-parameters")?.["arg-type"])?.members ?? [];
  const capabilities = answers.get("query-migrate-capabilities") as { capability: string }[];
  return {
    capabilities: capabilities.map(({ capability }) => capability),
    parameters: parameters.map(({ name }) => name),
  };
}
