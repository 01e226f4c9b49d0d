import { assertEquals } from "@std/assert";
import { LinkEvents } from "../../../src/cli/output/link_events.ts";
import type { MigrationEvent } from "../../../src/migrate/mod.ts";
import { HeldPipe } from "../../support/held_pipe.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { world } from "../../tunnel/resume_world.ts";

type Link = MigrationEvent & { readonly event: "link" };

/** A session of so many lanes whose events are kept; its connections can be cut, and get no new ones meanwhile. */
async function watched(lanes: number) {
  const pipes: HeldPipe[] = [];
  let away = false;
  const made = await world(undefined, {
    lanes,
    dialled: (n, pipe) => pipes[n] = new HeldPipe(pipe, away),
  });
  await made.connecting.openLanes();
  const links: Link[] = [];
  const report = (event: MigrationEvent) => void (event.event === "link" && links.push(event));
  new LinkEvents(report, new ManualClock()).watch(made.connecting);
  return {
    links,
    cut: (n: number) => {
      away = true;
      pipes[n]!.cut();
    },
    back: () => {
      away = false;
      for (const pipe of pipes) pipe.release();
    },
    until: async (isSo: () => boolean) => {
      while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    end: async () => {
      await Promise.all([made.connecting.close(), made.listening.close()]);
      await made.server.close();
    },
  };
}

Deno.test("a link event says how many of several connections are lost", async () => {
  const { links, cut, back, until, end } = await watched(4);
  cut(1);
  await until(() => links.length === 1);
  cut(3);
  await until(() => links.length === 2);
  back();
  await until(() => links.length === 3);
  assertEquals(links.map(({ state, connections }) => [state, connections]), [
    ["down", { down: 1, of: 4 }],
    ["down", { down: 2, of: 4 }],
    ["up", { down: 0, of: 4 }],
  ]);
  await end();
});

Deno.test("a link event counts nothing where there is one connection", async () => {
  const { links, cut, back, until, end } = await watched(1);
  cut(0);
  await until(() => links.length === 1);
  back();
  await until(() => links.length === 2);
  assertEquals(links.map((link) => [link.state, "connections" in link]), [
    ["down", false],
    ["up", false],
  ]);
  await end();
});
