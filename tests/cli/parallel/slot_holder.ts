/**
 * A process that runs in the lock directory of its argument until it is killed.
 *
 * @module
 */
import { LockDirectory } from "../../../src/cli/parallel/lock_directory.ts";

const facts = {
  ...{ pid: Deno.pid, what: "the holder", maxParallel: 1, hostBandwidth: null, wants: null },
};
const membership = await new LockDirectory(Deno.args[0]!).join(facts, "running");
console.log(membership.id);
await new Promise(() => setInterval(() => {}, 60_000));
