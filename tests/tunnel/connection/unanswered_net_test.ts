import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger, systemClock } from "../../../src/io/mod.ts";
import { connectTcp, connectUnix } from "../../../src/transport/mod.ts";
import { connectTls } from "../../../src/transport/tls/tls.ts";
import { connectSession, SessionError } from "../../../src/tunnel/mod.ts";
import { readPrivate } from "../../../src/cli/endpoint/private_file.ts";
import { readCredentials } from "../../../src/transport/tls/credentials.ts";
import { inDirectory } from "../../support/in_directory.ts";
import { Pki } from "../../support/pki.ts";

type Dial = Parameters<typeof connectSession>[0]["dial"];

/** Whether a session that does not come about fails because nobody answers. */
async function unanswered(
  dial: Dial,
  { mayReconnect = true, connectMs = 100 } = {},
): Promise<boolean> {
  const error = await assertRejects(() =>
    connectSession({
      ...{ dial, mayReconnect, clock: systemClock, log: silentLogger, connectMs },
      local: { secret: undefined, graceMs: 0, version: "test" },
    }), SessionError);
  assertEquals(error.code, "unreachable");
  return error.unanswered;
}

/** A port at which nobody listens. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("an address without an answer is distinguished from one where something else answers", async () => {
  await inDirectory(async (dir) => {
    const port = freePort();
    const pki = await Pki.make(dir);
    const client = await readCredentials(
      await pki.directory("c", "client", ["c"]),
      "client",
      readPrivate,
    );
    assertEquals(await unanswered(() => connectTcp("127.0.0.1", port)), true);
    assertEquals(await unanswered(() => connectUnix(`${dir}/nobody.sock`)), true);
    assertEquals(await unanswered(() => connectTls("127.0.0.1", port, client)), true);
    assertEquals(await unanswered(() => new Promise(() => {})), true);

    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const closing = (async () => {
      for await (const conn of listener) conn.close();
    })();
    const somebody = listener.addr.port;
    // Long enough for a busy machine to close one connection.
    const patient = { connectMs: 3_000 };
    assertEquals(await unanswered(() => connectTls("127.0.0.1", somebody, client), patient), false);
    const altname = new Error("The certificate of h is made out to another name");
    assertEquals(await unanswered(() => Promise.reject(altname)), false);
    listener.close();
    await closing.catch(() => {});
  });
});

Deno.test("an error of a child's ssh says nothing about the address", async () => {
  const refused = new Deno.errors.ConnectionRefused("Connection refused");
  assertEquals(await unanswered(() => Promise.reject(refused), { mayReconnect: false }), false);
  assertEquals(await unanswered(() => new Promise(() => {}), { mayReconnect: false }), false);
});
