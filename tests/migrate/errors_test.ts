import { assert, assertEquals } from "@std/assert";
import { asMigrationError, ERRORS, MigrationError, WARNINGS } from "../../src/migrate/mod.ts";
import { RpcError } from "../../src/rpc/mod.ts";

Deno.test("every code has a meaning that is a sentence, and an advice that is none", () => {
  for (const [code, row] of Object.entries(ERRORS)) {
    assert(/^[A-Z`].*\.$/.test(row.meaning), `${code}: ${row.meaning}`);
    if ("advice" in row) assert(!/^[A-Z].*|\.$/.test(row.advice), `${code}: ${row.advice}`);
  }
  for (const [code, text] of Object.entries(WARNINGS)) assert(/^[A-Z`].*\.$/.test(text), code);
});

Deno.test("a code that this version does not know keeps the peer's word", () => {
  const error = asMigrationError(new RpcError("from-tomorrow", "no"), "source");
  assertEquals(error.reported, {
    ...{ code: "peer-error", peerCode: "from-tomorrow", message: "no", side: "destination" },
  });
  const known = asMigrationError(new RpcError("disk-full", "no"), "source");
  assertEquals([known.code, known.peerCode], ["disk-full", undefined]);
});

Deno.test("a misspelt code does not compile", () => {
  // @ts-expect-error the right spelling has no second "l"
  new MigrationError("failed", "disk-fulll", "source", "x");
});
