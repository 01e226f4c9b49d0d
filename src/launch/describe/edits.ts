import type { QemuCommand, QemuOption } from "../command/mod.ts";
import { type OptionField, parseOption, withFields } from "../command/mod.ts";
import type { ChangedOption } from "../description.ts";

/** Changes of a command line's options, several of one option, too. */
export class Edits {
  readonly #options: readonly QemuOption[];
  readonly #now = new Map<number, QemuOption | null>();

  /** Begins without changes. */
  constructor(command: QemuCommand) {
    this.#options = command.options;
  }

  /** Whether the option is left out. */
  isDropped(index: number): boolean {
    return this.#now.get(index) === null;
  }

  /** The option as it is now. */
  optionAt(index: number): QemuOption | null {
    return this.#now.has(index) ? this.#now.get(index)! : this.#options[index]!;
  }

  /** Leaves an option out. */
  drop(index: number): void {
    this.#now.set(index, null);
  }

  /** Puts another option in its place. */
  replace(index: number, option: QemuOption): void {
    if (!this.isDropped(index)) this.#now.set(index, option);
  }

  /** Sets a key of the option, or removes it (`null`). Keys of JSON are those of its outermost object. */
  set(index: number, key: string, value: string | null): void {
    const option = this.optionAt(index);
    if (option === null || option.value === null) return;
    const changed = option.value.startsWith("{")
      ? inJson(option, key, value)
      : inFields(option, key, value);
    this.#now.set(index, changed);
  }

  /** All changes, in the order of the options. */
  result(): ChangedOption[] {
    return [...this.#now].map(([index, option]) => ({ index, option }))
      .sort((a, b) => a.index - b.index);
  }
}

function inJson(option: QemuOption, key: string, value: string | null): QemuOption {
  const object = JSON.parse(option.value ?? "{}") as Record<string, unknown>;
  const path = key.split(".");
  const last = path.pop()!;
  let at = object;
  for (const name of path) at = at[name] as Record<string, unknown>;
  if (value === null) delete at[last];
  else at[last] = /^(slot|addr)$/.test(last) && /^\d+$/.test(value) ? Number(value) : value;
  return { ...option, value: JSON.stringify(object) };
}

function inFields(option: QemuOption, key: string, value: string | null): QemuOption {
  const parsed = parseOption(option);
  const kept = parsed.fields.filter((field) => field.key !== key || value !== null);
  const at = kept.findLastIndex((field) => field.key === key);
  const field = (style: OptionField["style"]): OptionField => ({ key, value: value!, style });
  const fields = value === null
    ? kept
    : at < 0
    ? [...kept, field("full")]
    : kept.map((f, i) => i === at ? field(f.style === "flag" ? "full" : f.style) : f);
  return withFields(parsed, fields);
}
