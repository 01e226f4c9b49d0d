import { assertEquals } from "@std/assert";
import {
  adviceOn,
  asMigrationError,
  type ErrorCode,
  MigrationError,
  type Side,
} from "../../src/migrate/mod.ts";
import { SessionError } from "../../src/tunnel/mod.ts";

const timeout = (side: Side) => adviceOn(new MigrationError("failed", "timeout", side, "x")).join();

Deno.test("the advice after a wait for a source is about this host, not about a guest", () => {
  assertEquals(/pause|bandwidth|guest/.test(timeout("destination")), false);
  assertEquals(/vmferry migrate/.test(timeout("destination")), true);
  assertEquals(/migrate --timeout.*pause/.test(timeout("source")), true);
});

Deno.test("only an unanswered connection is advised to check that receive runs", () => {
  const steps = (unanswered: boolean) => {
    const error = new SessionError("unreachable", "x", { unanswered });
    return adviceOn(asMigrationError(error, "source"));
  };
  assertEquals(steps(true).length, 1);
  assertEquals(steps(false), []);
  const cause = asMigrationError(
    new SessionError("unreachable", "x", { unanswered: true }),
    "source",
  );
  const worded = new MigrationError("failed", "unreachable", "source", "x. y", { cause });
  assertEquals(adviceOn(worded), steps(true));
});

Deno.test("the advice on a domain names the commands for a domain", () => {
  const error = new SessionError("unreachable", "x", { unanswered: true });
  const unreachable = adviceOn(asMigrationError(error, "source"), false, true).join();
  assertEquals(/'vmferry receive --libvirt'/.test(unreachable), true);
  for (const side of ["source", "destination"] as const) {
    const late = adviceOn(new MigrationError("failed", "timeout", side, "x"), false, true).join();
    assertEquals([/migrate/.test(late), /domain/.test(late)], [false, true], late);
  }
});

Deno.test("once RAM has begun to cross, the advice is a new QEMU and --reuse", () => {
  const began = (code: ErrorCode) =>
    adviceOn(new MigrationError("failed", code, "source", "x"), true).join("; ");
  for (const code of ["timeout", "destination-qemu-gone"] as const) {
    assertEquals(began(code).match(/again with -incoming defer/g)?.length, 1);
    assertEquals(/--reuse NAME/.test(began(code)), true);
  }
});
