import { assertEquals, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";

function serveOf(...args: string[]) {
  const command = parseCommandLine(["status", ...args]);
  return command.command === "status" ? command.serve : undefined;
}

Deno.test("status --serve takes an address of loopback", () => {
  assertEquals(serveOf("--serve", "127.0.0.1:8080"), { host: "127.0.0.1", port: 8080 });
  assertEquals(serveOf("--serve", "[::1]:0"), { host: "::1", port: 0 });
  assertEquals(serveOf("--serve", "localhost:1"), { host: "localhost", port: 1 });
  assertEquals(serveOf(), undefined);
});

Deno.test("status --serve refuses an address that other hosts can reach, without --insecure", () => {
  const others = ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "vmhost1:80", "127.1:80"];
  for (const text of [...others, "127.0.0.1.evil.example:80"]) {
    assertThrows(() => serveOf("--serve", text), UsageError, `other hosts can reach ${text}`);
  }
  assertEquals(serveOf("--serve", "0.0.0.0:80", "--insecure"), { host: "0.0.0.0", port: 80 });
});

Deno.test("status --serve names what is no address, and what does not go with it", () => {
  for (const text of ["8080", ":8080", "::1:8080", "127.0.0.1", "127.0.0.1:99999", "a/b:1"]) {
    assertThrows(() => serveOf("--serve", text), UsageError, "expected HOST:PORT");
  }
  assertThrows(() => serveOf("--serve", "[::1]:1", "--watch"), UsageError, "exclude each other");
  assertThrows(() => serveOf("--insecure"), UsageError, "--insecure is for --serve");
});

Deno.test("--report takes the name of a page", () => {
  const migrate = (report: string) => () =>
    parseCommandLine(["migrate", "--qmp", "/q", "--report", report, "tcp://127.0.0.1:1"]);
  assertThrows(migrate("vm1.txt"), UsageError, 'got "vm1.txt", expected a name that ends in .html');
  assertEquals("report" in migrate("vm1.html")(), true);
});
