import { assertEquals, assertNotEquals } from "@std/assert";
import { admit, makeToken } from "../../../src/cli/serve/guard.ts";

const SERVED = { host: "127.0.0.1", port: 8080, token: "AbC" };

function status(host: string | null, path = "/AbC/", method = "GET"): number | string {
  const admission = admit(SERVED, { method, host, path });
  return "path" in admission ? admission.path : admission.status;
}

Deno.test("a request has to name the server by a number, localhost or its own name", () => {
  for (const host of ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080"]) {
    assertEquals(status(host), "/", host);
  }
  const others = [
    ...["evil.example:8080", "127.0.0.1.evil.example:8080", "localhost.evil.example:8080"],
    ...["127.0.0.1", "127.0.0.1:8081", "127.0.0.1:80800", "", "[::1]", "evil@127.0.0.1:8080"],
  ];
  for (const host of [...others, null]) assertEquals(status(host), 403, String(host));
  const named = { ...SERVED, host: "vmhost1" };
  const request = { method: "GET", host: "vmhost1:8080", path: "/AbC/" };
  assertEquals(admit(named, request), { path: "/" });
});

Deno.test("without the token there is nothing", () => {
  for (const path of ["/", "/run/1", "/abc/", "/AbCd/", "/Ab/", "//AbC/", "/%41bC/"]) {
    assertEquals(status("127.0.0.1:8080", path), 404, path);
  }
  assertEquals(status("127.0.0.1:8080", "/AbC/run/1/data"), "/run/1/data");
});

Deno.test("only GET and HEAD are answered", () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"]) {
    assertEquals(status("127.0.0.1:8080", "/AbC/", method), 405, method);
  }
  assertEquals(status("127.0.0.1:8080", "/AbC/", "HEAD"), "/");
});

Deno.test("each server has another token of 128 bits", () => {
  const [one, other] = [makeToken(), makeToken()];
  assertNotEquals(one, other);
  assertEquals(one.length, 22);
});
