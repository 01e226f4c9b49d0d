import { assertEquals, assertRejects } from "@std/assert";
import { writeAll } from "../../../src/io/mod.ts";
import { NbdClient, NbdError, type NbdExport, NbdServer } from "../../../src/nbd/mod.ts";
import { concat } from "../../support/bytes.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { u32 } from "../dialogue.ts";
import { MemoryDevice } from "../memory_device.ts";
import * as t from "./talking.ts";

const found: NbdExport = { name: "disk", device: new MemoryDevice() };

Deno.test("an export is looked for once in a negotiation", async () => {
  const asked: string[] = [];
  const find = (name: string) => {
    asked.push(name);
    return Promise.resolve(name === "disk" ? found : undefined);
  };
  const server = new NbdServer({ list: () => [], find });
  const [pipe, theirs] = memoryPipe();
  const serving = server.serve(theirs);
  await writeAll(
    pipe,
    concat([
      ...[u32(3), t.option(t.STRUCTURED), t.option(t.SET_META, t.metaData("disk"))],
      ...[t.option(t.INFO, t.infoData("other")), t.option(t.INFO, t.infoData("other"))],
      ...[t.option(t.GO, t.infoData("disk")), t.request(2, 0, 0)],
    ]),
  );
  await serving;
  assertEquals(asked, ["disk", "other"]);
  pipe.close();
});

Deno.test("an export that cannot be opened ends the negotiation with that reason", async () => {
  const find = () => Promise.reject(new NbdError("timeout", "the disk does not answer"));
  const server = new NbdServer({ list: () => [found], find });
  const [pipe, theirs] = memoryPipe();
  const serving = assertRejects(() => server.serve(theirs), NbdError, "does not answer");
  const { code } = await assertRejects(() => NbdClient.open(pipe, "disk"), NbdError);
  assertEquals(code, "closed");
  await serving;
});
