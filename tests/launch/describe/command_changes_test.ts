import { assertEquals } from "@std/assert";
import { parseCommand, writeCommand } from "../../../src/launch/command/mod.ts";
import { autoNames } from "../../../src/launch/describe/auto_names.ts";
import { currentCommand } from "../../../src/launch/describe/current_command.ts";
import { Edits } from "../../../src/launch/describe/edits.ts";
import { flatChanges } from "../../../src/launch/describe/flat.ts";
import { givenBy } from "../../../src/launch/describe/given.ts";
import type { Opening } from "../../../src/launch/describe/openings.ts";

const commandOf = (...words: readonly string[]) => parseCommand(["qemu", ...words]);

Deno.test("several edits of one option add up, and a dropped option stays dropped", () => {
  const command = commandOf(
    "-device",
    "a,id=x,drive=d",
    "-device",
    '{"driver":"b","id":"y"}',
    "-S",
  );
  const edits = new Edits(command);
  edits.set(0, "drive", null);
  edits.set(0, "addr", "03.0");
  edits.set(1, "addr", "04.0");
  edits.set(1, "slot", "2");
  edits.drop(2);
  edits.set(2, "x", "y");
  assertEquals(writeCommand(currentCommand(command, { added: [], changed: edits.result() })), [
    ...["qemu", "-device", "a,id=x,addr=03.0"],
    ...["-device", '{"driver":"b","id":"y","addr":"04.0","slot":2}'],
  ]);
});

Deno.test("drives without an id have the names that QEMU gives them", () => {
  const { all } = givenBy(commandOf(
    ...["-hda", "a", "-cdrom", "b", "-fda", "c", "-drive", "file=d,if=virtio", "-drive", "file=e"],
    ...[
      "-drive",
      "file=f,if=virtio",
      "-drive",
      "file=g,if=none",
      "-drive",
      "file=h,id=own,if=virtio",
    ],
    ...[
      "-drive",
      "file=i,if=pflash",
      "-drive",
      "file=j,if=pflash",
      "-drive",
      "file=k,if=ide,bus=1,unit=1",
    ],
  ));
  const names = (machine: string) => [...autoNames(all, machine).values()].join(" ");
  assertEquals(
    names("pc-i440fx-7.2"),
    "ide0-hd0 ide1-cd0 floppy0 virtio0 ide0-hd1 virtio1 pflash0 pflash1 ide1-hd1",
  );
  assertEquals(names("pc-q35-7.2").split(" ").slice(0, 2), ["ide0-hd0", "ide2-cd0"]);
});

/** The command line in which the disk of the last -device arrives flat. */
function flattened(...words: readonly string[]): string[] {
  const command = commandOf(...words);
  const given = givenBy(command);
  const root = given.nodes.get("top")?.index ?? given.drives.get("top")!.index;
  const opening: Opening = {
    ...{ root, given: given.all[root]!, key: "file", path: null, opaque: false, format: null },
  };
  const flat = flatChanges(command, given, new Map([["vd0", opening]]));
  return writeCommand(currentCommand(command, { added: [], changed: [], flat }, ["vd0"])).slice(1);
}

Deno.test("a flat image has no image below, and the nodes of that are not opened", () => {
  const top = (backing: string) => [
    ...["-blockdev", `driver=qcow2,node-name=top,file.driver=file,file.filename=t${backing}`],
  ];
  assertEquals(
    flattened(
      ...["-blockdev", '{"driver":"file","node-name":"f","filename":"base"}'],
      ...["-blockdev", "driver=qcow2,node-name=base,file=f", ...top(",backing=base")],
    ),
    top(""),
  );
  assertEquals(flattened(...top(",backing.driver=raw,backing.file.filename=b")), top(""));
});

Deno.test("an image below is removed from JSON and from -drive", () => {
  assertEquals(
    flattened(
      "-blockdev",
      '{"driver":"qcow2","node-name":"top","file":"f","backing":{"driver":"raw"}}',
    ),
    ["-blockdev", '{"driver":"qcow2","node-name":"top","file":"f"}'],
  );
  assertEquals(
    flattened("-drive", "if=none,id=top,file=t,backing.file.filename=b"),
    ["-drive", "if=none,id=top,file=t"],
  );
});

Deno.test("an image that does not arrive flat keeps the images below", () => {
  const command = commandOf("-drive", "if=none,id=top,file=t,backing.file.filename=b");
  const changed = [{ index: 0, option: null }];
  const facts = { added: [], changed: [], flat: { vd0: changed } };
  assertEquals(currentCommand(command, facts, ["vd1"]), command);
});
