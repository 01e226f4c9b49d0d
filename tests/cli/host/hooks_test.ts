import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { Hooks, type HooksOptions } from "../../../src/cli/host/site/hooks.ts";
import { type RunSiteCommand, SiteCommandError } from "../../../src/cli/host/site/site_command.ts";
import { MigrationError, type MigrationEvent } from "../../../src/migrate/mod.ts";

type Result = MigrationEvent & { readonly event: "result" };

const RESULT: Result = {
  event: "result",
  outcome: "migrated",
  ...{ downtimeMs: 1, pauseMs: 1, totalMs: 1, bytes: 1, error: null, next: [] },
};
const FAILED: Result = {
  ...RESULT,
  outcome: "failed",
  error: { code: "not-loaded", message: "no", side: "destination" },
};

/** Hooks `before` and `after`; `order` has what they and the reports did. */
function hooksWith(run: RunSiteCommand, given: Partial<HooksOptions["given"]> = {}) {
  const order: string[] = [];
  const environments: Record<string, string>[] = [];
  const hooks = new Hooks({
    given: { beforeSwitchover: "before", after: "after", timeoutMs: 5, ...given },
    role: "source",
    qmp: () => "/run/vm.qmp",
    peer: () => "vmferry://host2:7450",
    guest: () => ({ name: "vm1", uuid: "u" }),
    report: (event: MigrationEvent) =>
      void order.push(`report ${"code" in event ? event.code : event.event}`),
    log: silentLogger,
    run: (command, options) => {
      order.push(command);
      environments.push({ ...options.env });
      return run(command, options);
    },
  });
  return { hooks, order, environments };
}

Deno.test("a hook's environment names the guest, the role, the hook, the outcome and the peer", async () => {
  const { hooks, environments } = hooksWith(() => Promise.resolve());
  await hooks.beforeSwitchover.beforeSwitchover!(new AbortController().signal);
  await hooks.end(FAILED);
  const common = {
    ...{ VMFERRY_GUEST: "vm1", VMFERRY_UUID: "u", VMFERRY_ROLE: "source" },
    ...{ VMFERRY_PEER: "vmferry://host2:7450", VMFERRY_QMP: "/run/vm.qmp" },
  };
  const none = { VMFERRY_OUTCOME: "", VMFERRY_ERROR: "" };
  assertEquals(environments, [
    { ...common, VMFERRY_HOOK: "before-switchover", ...none },
    { ...common, VMFERRY_HOOK: "after", VMFERRY_OUTCOME: "failed", VMFERRY_ERROR: "not-loaded" },
  ]);
});

Deno.test("the hook after the end runs once, before the result is reported", async () => {
  const { hooks, order } = hooksWith(() => Promise.resolve());
  await hooks.end(RESULT);
  await hooks.end(RESULT);
  assertEquals(order, ["after", "report result", "report result"]);
});

Deno.test("a hook after the end that fails is a warning", async () => {
  const { hooks, order } = hooksWith(() => Promise.reject(new SiteCommandError("ended with 1")));
  await hooks.end(RESULT);
  assertEquals(order, ["after", "report hook-failed", "report result"]);
});

Deno.test("a hook before the switchover that fails is a failure of its side; a cancel stays a cancel", async () => {
  const signal = new AbortController().signal;
  const { hooks } = hooksWith(() => Promise.reject(new SiteCommandError('ended with 1: "no"')));
  const error = await assertRejects(
    () => hooks.beforeSwitchover.beforeSwitchover!(signal),
    MigrationError,
    'ended with 1: "no"',
  );
  assertEquals([error.kind, error.code, error.side], ["failed", "hook-failed", "source"]);
  const cancel = new Error("cancelled");
  const cancelled = hooksWith(() => Promise.reject(cancel)).hooks;
  const thrown = await assertRejects(() => cancelled.beforeSwitchover.beforeSwitchover!(signal));
  assertEquals(thrown, cancel);
});

Deno.test("without hooks nothing runs, and the result is reported at once", () => {
  const none = { beforeSwitchover: undefined, after: undefined };
  const { hooks, order } = hooksWith(() => Promise.reject(new Error("not to be run")), none);
  assertEquals(hooks.beforeSwitchover, {});
  void hooks.end(RESULT);
  assertEquals(order, ["report result"]);
});

Deno.test("the end waits for a hook that was given up and is being killed", async () => {
  const killed = Promise.withResolvers<void>();
  const { hooks, order } = hooksWith(() => killed.promise, { after: undefined });
  const running = assertRejects(() =>
    hooks.beforeSwitchover.beforeSwitchover!(new AbortController().signal)
  );
  const ended = hooks.end(FAILED);
  await Promise.resolve();
  assertEquals(order, ["before"]);
  killed.reject(new Error("the session is over"));
  await running;
  await ended;
  assertEquals(order, ["before", "report result"]);
});
