import { assertEquals } from "@std/assert";
import { silentLogger } from "../../../../src/io/mod.ts";
import { Virsh } from "../../../../src/libvirt/mod.ts";
import {
  settle as settleDomain,
  type SettleOptions,
} from "../../../../src/domain/source/settle/settle.ts";
import type { DestinationFacts } from "../../../../src/domain/source/settle/verdict.ts";
import { ManualClock } from "../../../support/manual_clock.ts";
import { FakeLibvirt } from "../support.ts";

const PAUSED = [3, 2] as const;
const SHUT_OFF = [5, 4] as const;
const { UUID } = FakeLibvirt;

function facts(state: DestinationFacts["state"], incoming = false): DestinationFacts {
  return { state, reason: "unknown", incoming };
}

function settling(libvirt: FakeLibvirt, change: Partial<SettleOptions>) {
  const clock = new ManualClock();
  const settled = settleDomain({
    source: new Virsh({ run: libvirt.run, uri: "qemu:///system" }),
    ...{ uuid: UUID, wasPaused: false, undefineSource: false, clock, log: silentLogger },
    ask: () => Promise.resolve(facts("absent")),
    isTheOne: () => true,
    ...change,
  });
  return { clock, settled };
}

Deno.test("a source that libvirt runs again is not touched, and nobody is asked", async () => {
  const libvirt = new FakeLibvirt();
  const { settled } = settling(libvirt, { ask: () => Promise.reject(new Error("not asked")) });
  assertEquals(await settled, { outcome: "stays" });
  assertEquals(libvirt.changes, []);
});

Deno.test("settling waits until libvirt has ended the job", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.job = 2;
  const { settled, clock } = settling(libvirt, {});
  await clock.advance(5_000);
  libvirt.job = 0;
  await clock.advance(1_000);
  assertEquals(await settled, { outcome: "stays" });
});

Deno.test("a source that nobody else has is resumed", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  const { settled } = settling(libvirt, {});
  assertEquals(await settled, { outcome: "stays" });
  assertEquals(libvirt.changes, [`resume --domain ${UUID}`]);
});

Deno.test("a source is not resumed on the word of another host", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  const { settled } = settling(libvirt, { isTheOne: () => false });
  assertEquals((await settled).outcome, "unknown");
  assertEquals(libvirt.changes, []);
});

Deno.test("a source that cannot be resumed is reported with libvirt's words", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  libvirt.failing.set("resume", "cannot acquire state change lock");
  const { settled } = settling(libvirt, {});
  const why = "virsh resume: cannot acquire state change lock";
  assertEquals(await settled, { outcome: "stuck", why });
});

Deno.test("a source whose guest runs at the destination is destroyed, as libvirt does", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  const { settled } = settling(libvirt, { ask: () => Promise.resolve(facts("running")) });
  assertEquals(await settled, { outcome: "migrated", guest: "running", left: [] });
  assertEquals(libvirt.changes, [`destroy --domain ${UUID}`]);
});

Deno.test("--undefinesource also removes the definition of a destroyed source", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  const ask = () => Promise.resolve(facts("running"));
  const { settled } = settling(libvirt, { ask, undefineSource: true });
  assertEquals((await settled).outcome, "migrated");
  assertEquals(libvirt.changes, [
    `destroy --domain ${UUID}`,
    `undefine --domain ${UUID} --keep-nvram`,
  ]);
});

Deno.test("a source that cannot be destroyed is left with the command to run", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  libvirt.failing.set("destroy", "device or resource busy");
  const { settled } = settling(libvirt, { ask: () => Promise.resolve(facts("running")) });
  const left = [`virsh -c qemu:///system destroy --domain ${UUID}`];
  assertEquals(await settled, { outcome: "migrated", guest: "running", left });
});

Deno.test("a domain that is shut off here and runs there has moved", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = SHUT_OFF;
  const { settled } = settling(libvirt, { ask: () => Promise.resolve(facts("running")) });
  assertEquals(await settled, { outcome: "migrated", guest: "running", left: [] });
  assertEquals(libvirt.changes, []);
});

Deno.test("the destination is asked again until it knows", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  let asked = 0;
  const ask = () => {
    asked++;
    if (asked === 1) return Promise.reject(new Error("nobody answers"));
    return Promise.resolve(asked === 2 ? facts("paused", true) : facts("running"));
  };
  const { settled, clock } = settling(libvirt, { ask });
  await clock.advance(5_000);
  assertEquals((await settled).outcome, "migrated");
  assertEquals(asked, 3);
});

Deno.test("a guest that ran at the destination and ended there is not waited for, and stays paused here", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  const { settled } = settling(libvirt, {
    ask: () => Promise.resolve({ ...facts("other"), hasRun: true }),
  });
  assertEquals((await settled).outcome, "unknown");
  assertEquals(libvirt.changes, []);
});

Deno.test("a destination that never answers leaves the source as it is", async () => {
  const libvirt = new FakeLibvirt();
  libvirt.state = PAUSED;
  const { settled, clock } = settling(libvirt, {
    ask: () => Promise.reject(new Error("nobody answers")),
  });
  await clock.advance(120_000);
  assertEquals(await settled, { outcome: "unknown", why: "nobody answers" });
  assertEquals(libvirt.changes, []);
});
