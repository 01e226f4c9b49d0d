import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { sh } from "../../support/sh.ts";

/** A destination that runs out of space. */
export const scenario: Scenario = {
  name: "enospc",
  about:
    "a full disk at the destination fails with disk-full, and the guest keeps running at the source",
  timeoutMs: 120_000,
  async run(context) {
    const small = `${context.dir}/small`;
    await Deno.mkdir(small);
    await sh("mount", "-t", "tmpfs", "-o", "size=24m", "none", small);
    context.use({ [Symbol.asyncDispose]: () => sh("umount", "-l", small) });
    const pair = await Pair.start(context, { destinationDirs: { 1: small } });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 1);
    await assertExit(receive, 1);
    const messages = await Promise.all([migrate, receive].map(async (ferry) => {
      const { error, next } = await ferry.waitEvent("result") as unknown as {
        error: { code: string; message: string; side: string };
        next: string[];
      };
      const told = error.side === "destination" && error.code === "disk-full" &&
        /No space left on device.*vd1/.test(error.message) && next.length > 0;
      if (!told) throw new Error(`${ferry.name}: got ${JSON.stringify({ error, next })}`);
      return error.message;
    }));
    await pair.assertStillAtSource();
    return messages[0]!;
  },
};
