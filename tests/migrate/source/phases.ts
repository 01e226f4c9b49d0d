/**
 * Sources that have come as far as a phase, for the tests of the next one.
 *
 * @module
 */
import { copy } from "../../../src/migrate/source/copy.ts";
import { handOver } from "../../../src/migrate/source/hand_over.ts";
import { prepare } from "../../../src/migrate/source/prepare.ts";
import { sendRam } from "../../../src/migrate/source/send_ram.ts";
import { switchOver } from "../../../src/migrate/source/switchover.ts";
import { type FakeSource, fakeSource, type FakeSourceOptions } from "../../support/fake_source.ts";

/** Its destination exports the disk. */
export async function prepared(options?: FakeSourceOptions) {
  const source = await fakeSource(options);
  const result = await prepare(source.context);
  return { source, result };
}

/** Its mirror is ready. */
export async function copied(options?: FakeSourceOptions) {
  const { source, result } = await prepared(options);
  return { source, result: await copy(source.context, result) };
}

/** QEMU has paused its guest. */
export async function paused(options?: FakeSourceOptions) {
  const { source, result } = await copied(options);
  return { source, result: await sendRam(source.context, result) };
}

/** Its guest was handed over, and the destination does not answer. */
export async function handedOver(options: FakeSourceOptions = {}) {
  const handlers = { finish: () => new Promise<never>(() => {}), ...options.handlers };
  const { source, result } = await paused({ ...options, handlers });
  const crossed = await switchOver(source.context, result);
  handOver(source.context, crossed).catch(() => {});
  await until("the destination is asked", () => source.order.includes("rpc:finish"));
  return { source };
}

/** Lets everything under way go on until `is` holds. */
export async function until(what: string, is: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (is()) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  throw new Error(`it did not come to this: ${what}`);
}

/** Moves the clock on, in steps in which everything under way goes on, until `work` has ended. */
export async function inTime<T>(source: FakeSource, work: Promise<T>): Promise<T> {
  let over = false;
  work.then(() => over = true, () => over = true);
  for (let steps = 0; steps < 5000 && !over; steps++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (!over) await source.clock.advance(200);
  }
  if (!over) throw new Error(`not over after ${source.clock.now()} ms`);
  return await work;
}
