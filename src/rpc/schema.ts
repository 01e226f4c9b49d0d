/**
 * Typed checks of values from the other end. Unknown members are dropped, so that a later version may
 * add some.
 *
 * @module
 */

/** A value does not fit; the message names its place, the value and the expected one. */
export class SchemaError extends Error {
  /** The class, also in a bundle. */
  override name = "SchemaError";
  /** `path` is the value's place, such as `params.disks[0].name`. */
  constructor(path: string, value: unknown, expected: string) {
    const got = value === undefined ? "nothing" : (JSON.stringify(value) ?? "nothing").slice(0, 80);
    super(`${path}: got ${got}, expected ${expected}`);
  }
}

/** Returns the value with its type, or throws a {@link SchemaError}. */
export type Schema<T> = (value: unknown, path: string) => T;

/** The type that a schema stands for. */
export type TypeOf<S> = S extends Schema<infer T> ? T : never;

/** Text of at most `max` characters. */
export function text(max: number): Schema<string> {
  return (value, path) => {
    if (typeof value === "string" && value.length <= max) return value;
    throw new SchemaError(path, value, `text of at most ${max} characters`);
  };
}

/** A whole number from `min` to `max`. */
export function integer(min = 0, max: number = Number.MAX_SAFE_INTEGER): Schema<number> {
  return (value, path) => {
    if (Number.isSafeInteger(value) && value as number >= min && value as number <= max) {
      return value as number;
    }
    throw new SchemaError(path, value, `a whole number from ${min} to ${max}`);
  };
}

/** `true` or `false`. */
export const flag: Schema<boolean> = (value, path): boolean => {
  if (typeof value === "boolean") return value;
  throw new SchemaError(path, value, "true or false");
};

/** One of a few words. */
export function word<T extends string>(...words: readonly T[]): Schema<T> {
  return (value, path) => {
    const found = words.find((w) => w === value);
    if (found !== undefined) return found;
    throw new SchemaError(path, value, words.join(" or "));
  };
}

/** The value, or `null`; a missing member counts as `null`. */
export function nullable<T>(schema: Schema<T>): Schema<T | null> {
  return (value, path) => value === null || value === undefined ? null : schema(value, path);
}

/** A list of at most `max` items. */
export function list<T>(schema: Schema<T>, max: number): Schema<T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > max) {
      throw new SchemaError(path, value, `a list of at most ${max}`);
    }
    return value.map((item, i) => schema(item, `${path}[${i}]`));
  };
}

/** An object with these members. */
export function object<S extends Record<string, Schema<unknown>>>(
  members: S,
): Schema<{ [K in keyof S]: TypeOf<S[K]> }> {
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new SchemaError(path, value, "an object");
    }
    const checked: Record<string, unknown> = {};
    for (const [name, schema] of Object.entries(members)) {
      checked[name] = schema((value as Record<string, unknown>)[name], `${path}.${name}`);
    }
    return checked as { [K in keyof S]: TypeOf<S[K]> };
  };
}

/** An object with at most `max` members of any names, each of one kind. */
export function record<T>(schema: Schema<T>, max: number): Schema<Record<string, T>> {
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new SchemaError(path, value, "an object");
    }
    const entries = Object.entries(value);
    if (entries.length > max) throw new SchemaError(path, value, `at most ${max} members`);
    return Object.fromEntries(entries.map(([name, v]) => [name, schema(v, `${path}.${name}`)]));
  };
}
