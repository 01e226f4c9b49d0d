/** Compares the tables with the QEMUs of this machine: its own, and those that tools/qemu.sh fetched. */
import { assert, assertEquals } from "@std/assert";
import { parseCommand, pathsOf, programsIn } from "../../../src/launch/command/mod.ts";
import { OPTIONS } from "../../../src/launch/command/option_table.ts";
import { NOT_PATHS } from "./not_paths.ts";
import { findQemus, output } from "./qemus.ts";
import { readSchema, type StringKey, stringKeys } from "./schema.ts";

const qemus = await findQemus();

/** Runs tasks two at a time. */
async function inPairs<T>(items: readonly T[], task: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const work = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await task(item);
  };
  await Promise.all([work(), work()]);
}

Deno.test("there is a QEMU to compare with", () => assert(qemus.length > 0));

for (const qemu of qemus) {
  const title = `${qemu.binary.split("/").at(-1)}, ${qemu.version}`;

  Deno.test(`${title}: every option of -help is in the table`, async () => {
    const help = await output(qemu.binary, "-help");
    const names = help.split("\n").flatMap((line) =>
      (/^-[-\w/ ]*/.exec(line)?.[0] ?? "").split(/ or |[ /]/)
        .filter((word) => word.startsWith("-")).map((word) => word.replace(/^--?/, ""))
    );
    assert(new Set(names).size > 90, `only ${names.length} options were found`);
    assertEquals(names.filter((name) => !Object.hasOwn(OPTIONS, name)), []);
  });

  if (!qemu.x86) continue;

  Deno.test(`${title}: an option takes a value exactly where the table says so`, async () => {
    const faults: string[] = [];
    await inPairs(Object.entries(OPTIONS), async ([name, { syntax, majors }]) => {
      if (name === "drive-file") return;
      // Ends in QEMU's first pass over its arguments, before it does anything.
      const text = await output(qemu.binary, `-${name}`, "-no-such-option", `-${name}`);
      const real = text.includes(`-${name}: requires an argument`)
        ? "a value"
        : text.includes("-no-such-option: invalid option")
        ? "no value"
        : text.includes(`-${name}: invalid option`)
        ? "unknown"
        : text;
      const there = majors === undefined || (majors[0] <= qemu.major && qemu.major <= majors[1]);
      const expected = there ? syntax === null ? "no value" : "a value" : "unknown";
      if (real !== expected) faults.push(`-${name}: ${real}, in the table: ${expected}`);
    });
    assertEquals(faults, []);
  });

  Deno.test(`${title}: every string of a backend, object or node is a path or known as none`, async () => {
    const schema = await readSchema(qemu.binary);
    const faults: string[] = [];
    for (const [command, option, first] of COMMANDS) {
      const keys = stringKeys(schema, command);
      assert(keys.length > 30, `${command}: only ${keys.length} keys`);
      for (const key of keys) {
        if (isPath(option, first, key)) continue;
        const word = `${key.type} ${key.key}`;
        const last = key.key.slice(key.key.lastIndexOf(".") + 1);
        const known = [word, last, `${command} ${last}`].some((name) => NOT_PATHS.has(name));
        if (!known) faults.push(`${command} ${word}`);
      }
    }
    assertEquals(faults, []);
  });

  Deno.test(`${title}: every type and key of a network backend is known`, async () => {
    const schema = await readSchema(qemu.binary);
    const faults: string[] = [];
    for (const { type, key } of stringKeys(schema, "netdev_add", true)) {
      const name = type.split("/")[0]!;
      if (name === "") continue;
      const value = JSON.stringify({ type: name, [key.replace(".N", ".0")]: "x" });
      for (const { what } of programsIn(parseCommand(["qemu", "-netdev", value]))) {
        if (what.includes("does not know")) faults.push(`${type} ${key}: ${what}`);
      }
    }
    assertEquals(faults, []);
  });
}

const COMMANDS = [
  ["netdev_add", "netdev", "type"],
  ["object-add", "object", "qom-type"],
  ["blockdev-add", "blockdev", "driver"],
] as const;

/** The key of an option with this type is found as a path. */
function isPath(option: string, first: string, { type, key }: StringKey): boolean {
  const value = JSON.stringify({
    [first]: type.split("/")[0],
    [key.replace(".N", ".0")]: "/probe",
  });
  const paths = pathsOf(parseCommand(["qemu", `-${option}`, value]));
  return paths.some(({ path }) => path === "/probe");
}
