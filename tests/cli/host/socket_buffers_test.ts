import { assertEquals, assertStringIncludes } from "@std/assert";
import { socketBufferNotes } from "../../../src/cli/host/socket_buffers.ts";
import { ProgramError } from "../../../src/host/mod.ts";

/** A host whose `cat` prints so. */
function host(stdout: string, code = 0) {
  return () => Promise.resolve({ code, stdout, stderr: "" });
}

Deno.test("check notes the buffers of UNIX sockets where they are small, with what to do", async () => {
  const [note, ...more] = await socketBufferNotes(host("212992\n"));
  assertEquals(more, []);
  assertStringIncludes(note!, "buffers of 208 KiB (net.core.wmem_default)");
  assertStringIncludes(note!, "'sysctl -w net.core.wmem_default=2097152'");
});

Deno.test("check says nothing of buffers that are large, or that the host does not tell", async () => {
  assertEquals(await socketBufferNotes(host("2097152\n")), []);
  assertEquals(await socketBufferNotes(host("", 1)), []);
  assertEquals(await socketBufferNotes(host("none\n")), []);
  const none = () => Promise.reject(new ProgramError("not-found", "no cat"));
  assertEquals(await socketBufferNotes(none), []);
});
