/** QEMU's description of its QMP commands (query-qmp-schema), as a list of keys. */
import { askBinary } from "../../support/ask_binary.ts";

interface Entry {
  readonly name: string;
  readonly "meta-type": string;
  readonly members?: readonly { readonly name: string; readonly type: string }[];
  readonly variants?: readonly { readonly case: string; readonly type: string }[];
  readonly "element-type"?: string;
  readonly "arg-type"?: string;
}

export type QmpSchema = ReadonlyMap<string, Entry>;

/** A key of a command's argument. */
export interface StringKey {
  /** The cases of its union, such as `dgram/unix`. */
  readonly type: string;
  /** Dotted, with `N` for an index of a list. */
  readonly key: string;
}

export async function readSchema(binary: string): Promise<QmpSchema> {
  const answers = await askBinary(binary, ["query-qmp-schema"]);
  return new Map((answers.get("query-qmp-schema") as Entry[]).map((entry) => [entry.name, entry]));
}

/** Keys whose value is a string; `all`: keys of any scalar. */
export function stringKeys(schema: QmpSchema, command: string, all = false): StringKey[] {
  const found = new Map<string, StringKey>();
  // An image's children repeat all of its keys under another prefix: the first level is enough.
  const walk = (name: string, prefix: string, type: string, above: ReadonlySet<string>): void => {
    const entry = schema.get(name)!;
    const add = () => found.set(`${type} ${prefix}`, { type, key: prefix });
    switch (entry["meta-type"]) {
      case "object": {
        if (above.has(name)) return;
        const below = new Set([...above, name]);
        const at = prefix === "" ? "" : `${prefix}.`;
        for (const member of entry.members ?? []) walk(member.type, at + member.name, type, below);
        for (const variant of entry.variants ?? []) {
          walk(variant.type, prefix, type === "" ? variant.case : `${type}/${variant.case}`, below);
        }
        break;
      }
      case "alternate":
        for (const member of entry.members ?? []) walk(member.type, prefix, type, above);
        break;
      case "array":
        walk(entry["element-type"]!, `${prefix}.N`, type, above);
        break;
      case "builtin":
        if (all || name === "str") add();
        break;
      default:
        if (all) add();
    }
  };
  walk(schema.get(command)!["arg-type"]!, "", "", new Set());
  return [...found.values()];
}
