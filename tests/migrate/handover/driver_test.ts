import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import {
  type DESTINATION_LISTS,
  destinationStep,
} from "../../../src/migrate/handover/destination_step.ts";
import { Driver } from "../../../src/migrate/handover/driver.ts";
import { type SOURCE_LISTS, sourceStep } from "../../../src/migrate/handover/source_step.ts";
import type {
  DestinationEvent,
  DestinationState,
  SourceEvent,
  SourceState,
} from "../../../src/migrate/handover/states.ts";
import { settle } from "../../support/manual_clock.ts";

type Record = { readonly state: string; readonly note?: string };

/** A journal whose writes end when the test says so. */
class SlowJournal {
  readonly written: Record[] = [];
  readonly waiting: { record: Record; done: PromiseWithResolvers<void> }[] = [];
  isSlow = false;

  async write(record: Record): Promise<void> {
    const done = Promise.withResolvers<void>();
    if (!this.isSlow) done.resolve();
    this.waiting.push({ record, done });
    await done.promise;
    this.written.push(record);
  }

  /** The oldest write ends. */
  async end(error?: Error): Promise<void> {
    const { done } = this.waiting.shift()!;
    if (error) done.reject(error);
    else done.resolve();
    await settle();
  }
}

function source(initial: SourceState, journalState: SourceState = initial) {
  const journal = new SlowJournal();
  const stop = new AbortController();
  const faults: unknown[] = [];
  type SourceRecord = { readonly state: SourceState; readonly note?: string };
  const driver = new Driver<SourceState, SourceEvent, typeof SOURCE_LISTS, SourceRecord>({
    ...{ name: "source", initial, step: sourceStep, journal, record: { state: journalState } },
    check: () => stop.signal.throwIfAborted(),
    refuse: (event, state, why) => new Error(`${event} ${state} ${why}`),
    onFault: (error) => faults.push(error),
    log: silentLogger,
  });
  return { driver, journal, stop, faults };
}

function destination(initial: DestinationState) {
  const journal = new SlowJournal();
  type DestinationRecord = { readonly state: DestinationState };
  const driver = new Driver<
    DestinationState,
    DestinationEvent,
    typeof DESTINATION_LISTS,
    DestinationRecord
  >({
    ...{ name: "destination", initial, step: destinationStep, journal, record: { state: initial } },
    refuse: (event, state, why) => new Error(`${event} ${state} ${why}`),
    log: silentLogger,
  });
  return { driver, journal };
}

Deno.test("finish is called once the journal says handover and the state is entered", async () => {
  const { driver, journal } = source("switchover");
  journal.isSlow = true;
  const order: string[] = [];
  const taking = driver.take("crossed", {
    "report handover": () => order.push("report"),
    "call finish": () => order.push(`finish in ${driver.current}`),
  }, { note: "beside" });
  await settle();
  assertEquals([driver.current, order], ["switchover", []]);
  await journal.end();
  await taking;
  assertEquals(order, ["report", "finish in handover"]);
  assertEquals(journal.written, [{ state: "handover", note: "beside" }]);
});

Deno.test("a journal that cannot be written ends the step, and the state stays", async () => {
  const { driver, journal } = source("switchover");
  journal.isSlow = true;
  const taking = driver.take("crossed", { "report handover": fail, "call finish": fail });
  await settle();
  await journal.end(new Error("No space left"));
  await assertRejects(() => taking, Error, "No space left");
  assertEquals(driver.current, "switchover");
});

Deno.test("a failure during the write of handover keeps finish from being called, and is withdrawn", async () => {
  const { driver, journal, stop } = source("switchover");
  journal.isSlow = true;
  const taking = driver.take("crossed", { "report handover": fail, "call finish": fail });
  await settle();
  stop.abort(new Error("cancelled"));
  await journal.end();
  await assertRejects(() => taking, Error, "cancelled");
  journal.isSlow = false;
  const order: string[] = [];
  const note = (what: string) => () =>
    void order.push(`${what} after ${journal.written.at(-1)?.state}`);
  await driver.take("fault", {
    "call abort": () => {},
    undo: note("undo"),
    "qemu cont": note("cont"),
    "note left": () => {},
    "undo there": note("undo there"),
  });
  assertEquals(order, ["undo after undone", "cont after undone", "undo there after undone"]);
  assertEquals(driver.current, "undone");
});

Deno.test("a failure before the handover is not written, so that another process can resume the copy", async () => {
  const { driver, journal } = source("mirror");
  const nothing = () => {};
  await driver.take("fault", {
    ...{ "call abort": nothing, undo: nothing, "qemu cont": nothing, "note left": nothing },
    "undo there": nothing,
  });
  assertEquals([driver.current, journal.written], ["undone", []]);
});

Deno.test("the switchover does not wait for its record, the handover does", async () => {
  const { driver, journal, faults } = source("ram");
  journal.isSlow = true;
  const order: string[] = [];
  const note = (what: string) => () => void order.push(what);
  await driver.take("stopped", {
    "qemu end-mirrors": note("end-mirrors"),
    "report switchover": () => {},
    "wait mirrors": note("mirrors"),
    "compare disks": note("compare"),
    "call load": note("load"),
    "qemu migrate-continue": note("continue"),
    "wait load": () => {},
  });
  assertEquals(order, ["end-mirrors", "mirrors", "compare", "load", "continue"]);
  assertEquals([driver.current, journal.written], ["switchover", []]);
  const taking = driver.take("crossed", { "report handover": () => {}, "call finish": () => {} });
  await settle();
  assertEquals(journal.waiting.map(({ record }) => record.state), ["switchover"]);
  await journal.end();
  await journal.end();
  await taking;
  assertEquals(journal.written.map(({ state }) => state), ["switchover", "handover"]);
  assertEquals(faults, []);
});

Deno.test("a record in the background that cannot be written is a fault", async () => {
  const { driver, journal, faults } = source("ram");
  journal.isSlow = true;
  const nothing = () => {};
  await driver.take("stopped", {
    ...{ "qemu end-mirrors": nothing, "report switchover": nothing, "wait mirrors": nothing },
    "compare disks": nothing,
    ...{ "call load": nothing, "qemu migrate-continue": nothing, "wait load": nothing },
  });
  await journal.end(new Error("No space left"));
  assertEquals(faults.map(String), ["Error: No space left"]);
});

Deno.test("once handed over a failure prevents nothing any more", async () => {
  const { driver, stop } = source("handover");
  stop.abort(new Error("cancelled"));
  let asked = 0;
  await driver.take("crossed", { "report handover": fail, "call finish": () => asked++ });
  assertEquals([asked, driver.current], [1, "handover"]);
});

Deno.test("an unknown event changes nothing and runs no action", async () => {
  const { driver, journal } = destination("prepared");
  const finish = () => driver.take("finish", { "report handover": fail, "qemu cont": fail });
  await assertRejects(finish, Error, "finish prepared unknown");
  assertEquals([driver.current, journal.written], ["prepared", []]);
});

Deno.test("a destination that gives up while starting is written never gives QEMU cont", async () => {
  const { driver, journal } = destination("loaded");
  journal.isSlow = true;
  const starting = driver.take("finish", { "report handover": fail, "qemu cont": fail });
  await settle();
  const order: string[] = [];
  const givingUp = driver.take("fault", {
    undo: () => order.push("undo"),
    "qemu discard": () => order.push("discard"),
    settle: () => order.push("settle"),
  });
  assertEquals(driver.current, "failed", "in the same turn");
  await journal.end();
  await assertRejects(() => starting, Error, "finish failed overtaken");
  await journal.end();
  await givingUp;
  assertEquals(order, ["undo", "discard", "settle"]);
  assertEquals(journal.written.map(({ state }) => state), ["starting", "failed"]);
});

Deno.test("a destination answers only what its journal says by then", async () => {
  const { driver, journal } = destination("loaded");
  journal.isSlow = true;
  const nothing = () => {};
  let told = "";
  const status = () => driver.take("status", { "answer status": () => told = driver.current });
  const starting = driver.take("finish", { "report handover": nothing, "qemu cont": fail });
  const asked = status();
  const givingUp = driver.take("fault", {
    ...{ undo: nothing, "qemu discard": nothing, settle: nothing },
  });
  await settle();
  await journal.end();
  await assertRejects(() => starting);
  assertEquals(told, "", "the journal says starting, the state is failed");
  await journal.end();
  await Promise.all([asked, givingUp]);
  assertEquals([told, journal.written.at(-1)?.state], ["failed", "failed"]);
});

function fail(): never {
  throw new Error("This must not be done");
}
