import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseDestination } from "../../src/cli/endpoint/address.ts";
import { checkSafety } from "../../src/cli/endpoint/safety.ts";
import { UsageError } from "../../src/cli/args/usage_error.ts";

const check = (address: string, insecure: boolean, secretFile?: string) =>
  checkSafety(parseDestination(address, "x"), { insecure, secretFile });

Deno.test("plain tcp beyond this machine takes --insecure and a secret, and is warned of", () => {
  for (const address of ["tcp://10.0.0.1:1", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://host:1"]) {
    assertThrows(() => check(address, false), UsageError, "--insecure");
    assertThrows(() => check(address, false, "/s"), UsageError, "--insecure");
    assertThrows(() => check(address, true), UsageError, "--secret-file");
    assert(check(address, true, "/s")?.includes("is not encrypted"));
  }
  for (const address of ["tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1", "unix:///s"]) {
    assertEquals(check(address, false), undefined);
  }
});

Deno.test("an encrypted transport encrypts for every address, and no flag turns it off", () => {
  const ticket = `vmferry://127.0.0.1:1/${"A".repeat(64)}`;
  for (const address of [ticket, "tls://host:1", "ssh://host"]) {
    assertEquals(check(address, false), undefined);
    assertThrows(() => check(address, true), UsageError, "--insecure asks for the opposite");
  }
  assertThrows(() => check(ticket, false, "/s"), UsageError, "has a secret of its own");
});
