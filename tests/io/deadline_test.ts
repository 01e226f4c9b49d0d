import { assertEquals, assertRejects } from "@std/assert";
import { abortable } from "../../src/io/mod.ts";

Deno.test("what is waited for is given up when the signal is aborted, before or meanwhile", async () => {
  const late = new AbortController();
  const waiting = assertRejects(() => abortable(new Promise(() => {}), late.signal), Error, "over");
  late.abort(new Error("over"));
  await waiting;
  await assertRejects(() => abortable(Promise.resolve(1), late.signal), Error, "over");
  assertEquals(await abortable(Promise.resolve(1), new AbortController().signal), 1);
});

Deno.test("what fails after it was given up is nobody's error", async () => {
  const over = AbortSignal.abort(new Error("over"));
  const failing = Promise.reject(new Error("unhandled, it would end the process"));
  await assertRejects(() => abortable(failing, over), Error, "over");
  await new Promise((resolve) => setTimeout(resolve, 0));
});
