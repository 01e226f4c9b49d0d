import { assertEquals } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { SessionError } from "../../../src/tunnel/mod.ts";
import { FirstCause } from "../../../src/domain/source/cause.ts";
import { VirshGoneError } from "../../../src/domain/source/run/fenced.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const FAILED = {
  code: 1,
  stdout: "",
  stderr:
    "error: operation failed: job failed\nerror: Disconnected from qemu:///system due to end of file\n",
};
const UP = { state: "up" as const, ended: new Promise<undefined>(() => {}) };

function causing() {
  const stop = new AbortController();
  const clock = new ManualClock();
  return { stop, cause: new FirstCause({ clock, log: silentLogger, signal: stop.signal }) };
}

Deno.test("without another reason libvirt's own words are the cause, whole", async () => {
  const { code, message } = await causing().cause.of("vm1", FAILED, undefined, UP);
  assertEquals(code, "domain-failed");
  assertEquals(message, "libvirt could not migrate domain vm1: operation failed: job failed");
});

Deno.test("a lost session wins over what libvirt says of it", async () => {
  const lost = new SessionError("lost", "No bytes for 60 s");
  const session = { state: "ended" as const, ended: Promise.resolve(lost) };
  const cut = new Error("The connection to the destination's libvirt was lost");
  const { code, message } = await causing().cause.of("vm1", FAILED, cut, session);
  assertEquals([code, message], ["connection-lost", "No bytes for 60 s"]);
});

Deno.test("a cancel that comes after a fault is not the cause", async () => {
  const { cause, stop } = causing();
  cause.take(new Error("no such socket"));
  stop.abort(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
  const { message } = await cause.of("vm1", FAILED, undefined, UP);
  assertEquals(message, "no such socket");
});

Deno.test("a cancel is the cause of what libvirt reports after it", async () => {
  const { cause, stop } = causing();
  stop.abort(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
  assertEquals((await cause.of("vm1", FAILED, undefined, UP)).kind, "cancelled");
});

Deno.test("a stream that the destination could not connect follows from libvirt's own failure", async () => {
  const { cause } = causing();
  cause.take(new RpcError("failed", "no such socket"));
  assertEquals((await cause.of("vm1", FAILED, undefined, UP)).code, "domain-failed");
});

Deno.test("a destination's libvirt that hangs up is named as the cause", async () => {
  const cut = new Error("The destination's libvirt closed its connection");
  const { code, side } = await causing().cause.of("vm1", FAILED, cut, UP);
  assertEquals([code, side], ["libvirt-gone", "destination"]);
});

Deno.test("a mirror that finds no space is a full disk at the destination", async () => {
  const stderr = "error: operation failed: migration of disk vda failed: No space left on device\n";
  const result = { ...FAILED, stderr };
  const { code, side } = await causing().cause.of("vm1", result, undefined, UP);
  assertEquals([code, side], ["disk-full", "destination"]);
});

Deno.test("a virsh that was killed is a failure of the source", async () => {
  const cut = new VirshGoneError("virsh ended before it was through");
  const { code, side } = await causing().cause.of("vm1", FAILED, cut, UP);
  assertEquals([code, side], ["domain-failed", "source"]);
});
